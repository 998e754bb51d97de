/* Ranks the sections of the site for a question; docs/_programs/site_search.py says what for, and writes SECTIONS.
   Sphinx's searchtools.js, which is loaded before, shows the results. */
"use strict";

(() => {
  // What a word in a title, in the title of a section's page, and among the further words for its page adds to
  // the share that it has in the text.
  const IN_TITLE = 1;
  const IN_PAGE_TITLE = 1;
  const OF_PAGE = 1.5;
  // How much a word counts that only means the same.
  const SYNONYM = 0.4;
  // Constants of BM25: how soon more of the same word counts less, and how much a long text is held back.
  const SATURATION = 1;
  const LENGTH = 0.6;
  // How much the second-best section of a page adds to it.
  const SECOND = 0.3;
  // A result that scores less than this share of the best one is left out.
  const LEAST = 0.2;
  const MESSAGES = 3;
  const GUIDES_FIRST = 5;

  // Words that many questions have and that tell none from another.
  const OF_QUESTIONS = new Set([
    ..."add allow api bug can do does doesn don feature get go how like need not please question".split(" "),
    ..."support t use user using want what when where which why work would".split(" "),
  ]);

  const stemmer = new Stemmer();
  const stem = (word) => stemmer.stemWord(word.toLowerCase());
  const PARTS = /[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+/g;

  /** Return the words of a text that tell it from others. */
  const words = (text) =>
    (text.match(/[\p{L}\p{N}_]+/gu) ?? []).filter((word) => {
      const small = word.toLowerCase();
      return !stopwords.has(small) && !OF_QUESTIONS.has(small);
    });

  /** Build what a question is compared with, once: the sections that each stem is in. */
  const build = () => {
    const stemmed = SECTIONS.words.map(stem);
    const postings = new Map();
    const add = (word, section, field, count) => {
      if (!postings.has(word)) postings.set(word, new Map());
      const found = postings.get(word);
      if (!found.has(section)) found.set(section, { text: 0, title: 0, page: 0, also: 0 });
      found.get(section)[field] += count;
    };
    const stems = (text) => new Set(words(text).map(stem));
    const ofPages = SECTIONS.pages.map(([, title, , also]) => [stems(title), stems(also)]);
    const lengths = SECTIONS.sections.map(([page, , title, counts], section) => {
      let length = 0;
      for (let index = 0; index < counts.length; index += 2) {
        add(stemmed[counts[index]], section, "text", counts[index + 1]);
        length += counts[index + 1];
      }
      const [ofTitle, further] = ofPages[page];
      stems(title).forEach((word) => add(word, section, "title", 1));
      ofTitle.forEach((word) => add(word, section, "page", 1));
      further.forEach((word) => add(word, section, "also", 1));
      return length;
    });
    const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
    const synonyms = new Map();
    for (const group of SECTIONS.synonyms) {
      const all = group.map(stem);
      all.forEach((word) => synonyms.set(word, [...(synonyms.get(word) ?? []), ...all]));
    }
    return { postings, lengths, mean, synonyms };
  };

  let built = null;

  const split = (name) => words((name.match(PARTS) ?? []).join(" "));

  const isKnown = (word) => built.postings.has(stem(word)) || built.synonyms.has(stem(word));

  /** Return the stems of a question; a name such as `APITimeoutError` counts whole, if known, and by its parts. */
  const asked = (query) =>
    words(query)
      .flatMap((word) => [...(isKnown(word) ? [word] : []), ...split(word)])
      .map(stem);

  /** Return what a word adds to the score of each section. */
  const scoreOf = (word) => {
    const found = built.postings.get(word) ?? new Map();
    const rarity = Math.log(1 + (SECTIONS.sections.length - found.size + 0.5) / (found.size + 0.5));
    const scores = new Map();
    found.forEach(({ text, title, page, also }, section) => {
      const held = 1 - LENGTH + (LENGTH * built.lengths[section]) / built.mean;
      const count = text / held;
      const share = (count * (SATURATION + 1)) / (count + SATURATION);
      scores.set(section, rarity * (share + IN_TITLE * title + IN_PAGE_TITLE * page + OF_PAGE * also));
    });
    return scores;
  };

  /** Return each section that shares a word with the question, or one that means the same, with its score. */
  const score = (query) => {
    built ??= build();
    const scores = new Map();
    for (const word of new Set(asked(query))) {
      const best = scoreOf(word);
      for (const other of new Set(built.synonyms.get(word) ?? [])) {
        if (other === word) continue;
        scoreOf(other).forEach((value, section) => {
          best.set(section, Math.max(best.get(section) ?? 0, SYNONYM * value));
        });
      }
      best.forEach((value, section) => scores.set(section, (scores.get(section) ?? 0) + value));
    }
    return scores;
  };

  /** Return the pages that answer a question, each at its best section, the best page first. */
  const rank = (query) => {
    const best = new Map();
    score(query).forEach((value, section) => {
      const page = SECTIONS.sections[section][0];
      const weighed = value * SECTIONS.pages[page][2];
      const entry = best.get(page) ?? { section, first: 0, second: 0 };
      if (weighed > entry.first) best.set(page, { section, first: weighed, second: entry.first });
      else if (weighed > entry.second) best.set(page, { ...entry, second: weighed });
    });
    const ranked = [...best].map(([page, { section, first, second }]) => [
      page,
      section,
      first + SECOND * second,
    ]);
    ranked.sort((one, other) => other[2] - one[2]);
    const least = LEAST * (ranked[0]?.[2] ?? 0);
    return ranked.filter(([, , value]) => value >= least);
  };

  const plain = (text) => text.toLowerCase().replace(/[\s`"'“”‘’]+/g, " ").trim();

  /** Tell how many letters of a message a text has, with its holes filled in: none unless it has all. */
  const covers = (text, pieces) => {
    let position = 0;
    let letters = 0;
    for (const piece of pieces.map(plain).filter(Boolean)) {
      position = text.indexOf(piece, position);
      if (position < 0) return 0;
      position += piece.length;
      letters += piece.length;
    }
    return letters;
  };

  /** Return the messages of errors that the text quotes, the longest first. */
  const quoted = (query) => {
    const text = plain(query);
    return SECTIONS.messages
      .map(([pieces, anchor, name, page]) => ({ letters: covers(text, pieces), pieces, anchor, name, page }))
      .filter(({ letters }) => letters > 0)
      .sort((one, other) => other.letters - one.letters)
      .slice(0, MESSAGES);
  };

  const result = (name, title, anchor, value, kind) => [name, title, anchor, null, value, name, kind];

  // Sphinx shows the last of the list first.
  Search._performSearch = (query, searchTerms, excludedTerms, highlightTerms, objectTerms) => {
    const messages = quoted(query).map(({ pieces, anchor, name, page, letters }) =>
      result(page, `${name}: ${pieces.join("…")}`, anchor, letters, SearchResultKind.title),
    );
    const pages = rank(query).map(([page, section, value]) => {
      const [name, title] = SECTIONS.pages[page];
      const [, anchor, heading] = SECTIONS.sections[section];
      const shown = anchor ? `${title} > ${heading}` : title;
      return result(name, shown, anchor, value, SearchResultKind.text);
    });
    const guides = pages.filter(([name]) => !name.startsWith("reference/api/"));
    const reference = pages.filter(([name]) => name.startsWith("reference/api/"));
    const names = [...objectTerms].flatMap((term) => Search.performObjectSearch(term, objectTerms));
    names.sort((one, other) => other[4] - one[4]);
    const all = [
      ...messages,
      ...guides.slice(0, GUIDES_FIRST),
      ...names,
      ...guides.slice(GUIDES_FIRST),
      ...reference,
    ];
    return all.reverse();
  };
})();
