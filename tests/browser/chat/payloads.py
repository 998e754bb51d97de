"""What a model may write to run a script in a page; each calls `ran`, if anything of it is run."""

# ruff: noqa: E501 - a payload is one line
from __future__ import annotations

_HTML = r"""
<script>ran()</script>
<SCRIPT>ran()</SCRIPT >
<script src="data:text/javascript,ran()"></script>
<script type="module">ran()</script>
<script>/*
*/ran()</script>
<scr<script>ipt>ran()</scr</script>ipt>
"><script>ran()</script>
</p></div><script>ran()</script>
<![CDATA[<script>ran()</script>]]>
<!--><script>ran()</script>-->
<noscript><p title="</noscript><script>ran()</script>">
<template><script>ran()</script></template>
<img src=x onerror=ran()>
<img src="x" onerror="ran()">
<img/src='x'/onerror='ran()'>
<img src=x:x onerror=ran&lpar;&rpar;>
<IMG SRC=x OnErRoR=ran()>
<img src=x onerror	=	ran()>
<img srcset="x 1x" onerror=ran()>
<image src=x onerror=ran()>
<picture><source srcset=x><img onerror=ran() src=x></picture>
<video src=x onerror=ran()></video>
<video><source onerror=ran()></video>
<audio src=x onerror=ran()></audio>
<body onload=ran()>
<body onpageshow=ran()>
<iframe srcdoc="<script>parent.ran()</script>"></iframe>
<iframe src="javascript:parent.ran()"></iframe>
<iframe onload=ran()></iframe>
<object data="javascript:ran()"></object>
<object data="data:text/html,<script>ran()</script>"></object>
<embed src="javascript:ran()">
<input autofocus onfocus=ran()>
<textarea autofocus onfocus=ran()></textarea>
<select autofocus onfocus=ran()></select>
<button autofocus onfocus=ran()>x</button>
<p tabindex=1 autofocus onfocus=ran()>x</p>
<details open ontoggle=ran()>x</details>
<dialog open onclose=ran()><form method=dialog><button>x</button></form></dialog>
<marquee onstart=ran()>x</marquee>
<style>@import "javascript:ran()";</style>
<style onload=ran()></style>
<link rel=stylesheet href="data:text/css," onload=ran()>
<link rel=modulepreload href="data:text/javascript,ran()" onload=ran()>
<meta http-equiv=refresh content="0;url=javascript:ran()">
<base href="javascript:ran()//"><a href=x>x</a>
<form action="javascript:ran()"><input type=submit></form>
<form><button formaction="javascript:ran()">x</button></form>
<isindex action="javascript:ran()" type=submit>
<p style="animation: x" onanimationstart=ran()>x</p>
<p onpointerenter=ran() onmouseover=ran() onclick=ran()>x</p>
<a href="javascript:ran()">x</a>
<a href="java&#10;script:ran()">x</a>
<a href="data:text/html;base64,PHNjcmlwdD5vcGVuZXIucmFuKCk8L3NjcmlwdD4=">x</a>
<a xlink:href="javascript:ran()">x</a>
<svg onload=ran()>
<svg/onload=ran()>
<svg><script>ran()</script></svg>
<svg><script href="data:text/javascript,ran()" /></svg>
<svg><animate onbegin=ran() attributeName=x dur=1s></svg>
<svg><set onbegin=ran() attributename=x to=y></svg>
<svg><a xlink:href="javascript:ran()"><text y=20>x</text></a></svg>
<svg><animate xlink:href=#t attributeName=href values=javascript:ran() /><a id=t><text y=20>x</text></a></svg>
<svg><foreignObject><img src=x onerror=ran()></foreignObject></svg>
<svg><style><img src=x onerror=ran()></style></svg>
<svg><use href="data:image/svg+xml,<svg id='x' xmlns='http://www.w3.org/2000/svg'><image href='x' onerror='ran()'/></svg>#x"></use></svg>
<math><mtext><script>ran()</script></mtext></math>
<math href="javascript:ran()">x</math>
<math><maction actiontype="statusline#" xlink:href="javascript:ran()">x</maction></math>
<math><annotation-xml encoding="text/html"><img src=x onerror=ran()></annotation-xml></math>
<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=x onerror=ran()&gt;"></table></mtext></math>
<x-y onclick=ran() onfocus=ran() tabindex=0 autofocus>x</x-y>
&lt;img src=x onerror=ran()&gt;
&#60;script&#62;ran()&#60;/script&#62;
"""

_MARKDOWN = r"""
[x](javascript:ran())
[x](JaVaScRiPt:ran())
[x](javascript&colon;ran())
[x](java&Tab;script:ran())
[x](&#106;avascript:ran())
[x](\x01javascript:ran())
[x](  javascript:ran())
[x](vbscript:ran())
[x](data:text/html,<script>opener.ran()</script>)
[x](blob:javascript:ran())
[x](//x.test/"onmouseover=ran())
[x](https://x.test/"onmouseover="ran())
[x](https://x.test/'onclick='ran())
[x](https://x.test/><img/src=x/onerror=ran()>)
[x](http://javascript:ran())
[x](mailto:x?"onclick=ran())
[x](javascript:ran%28%29)
[x](JAVASCRIPT:ran%28%29)
[x](data:text/html,%3Cscript%3Eopener.ran%28%29%3C/script%3E)
[x](https:javascript:ran%28%29)
[x](https://x.test/"onclick="location='javascript:ran%28%29')
[x](https://x.test/'onmouseover='location="javascript:ran%28%29")
[x](http://x.test/><img/src=x/onerror=location='javascript:ran%28%29'>)
[x](mailto:x"onfocus="location='javascript:ran%28%29')
![x](https://x.test/"onerror="location='javascript:ran%28%29')
[<img src=x onerror=ran()>](https://x.test)
![x](javascript:ran())
![x](https://x.test/"onerror="ran())
![<img src=x onerror=ran()>](x)
![x" onerror="ran()](https://x.test/x.png)
**<img src=x onerror=ran()>**
_<svg onload=ran()>_
`<img src=x onerror=ran()>`
# <img src=x onerror=ran()>
> <svg onload=ran()>
- <img src=x onerror=ran()>
1. [x](javascript:ran())
<javascript:ran()>
[x]: javascript:ran()
"""

_LINES = [
    "```<img/src=x/onerror=ran()>\n<script>ran()</script>\n```",
    '```x" onclick="ran()\n</code></pre><svg onload=ran()>\n```',
    "~~~html\n<script>ran()</script>",
    "| <img src=x onerror=ran()> | [x](javascript:ran()) |\n|---|---|\n| <svg onload=ran()> | `<script>ran()</script>` |",
    "<img src=x\nonerror=ran()>",
    "[x](java\nscript:ran())",
    "<scr\u0000ipt>ran()</scr\u0000ipt>",
    "\ufeff<svg onload=ran()>",
    "<svg\u000conload=ran()>",
    "\u202e>)(nar=daolno gvs<",
]

PAYLOADS = [*_HTML.strip("\n").split("\n"), *_MARKDOWN.strip("\n").split("\n"), *_LINES]
