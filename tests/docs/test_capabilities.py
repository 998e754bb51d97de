"""The table of capabilities is true: each word that it says of this library has a test, named here."""

from __future__ import annotations

import re
from functools import cache
from typing import get_args

import pytest

from tests.project import CAPABILITIES, ROOT
from tokenstream._providers.apis import FormatName, ProtocolName
from tokenstream.stages._calls.dialects import NAMES

LACKED = {"XML, YAML, TOON while streaming", "JSON polling where a host cannot stream"}
"""What this library leaves to others."""
TESTS: dict[str, dict[str, str]] = {
    "spec-clean SSE (BOM, `retry:`-only, CR, U+2028, bad UTF-8), chunk-invariant": {
        "spec-clean SSE": "framing/test_sse.py::test_each_clause_of_the_standard_holds_at_every_chunking",
        "BOM, `retry:`-only, CR, U+2028": "framing/test_sse.py::test_any_stream_reads_as_the_standard_says",
        "bad UTF-8": "framing/test_sse.py::test_malformed_bytes_in_data_become_replacement_characters_and…",
        "chunk-invariant": "framing/test_sse.py::test_what_was_not_finished_can_be_read_at_every_chunking",
    },
    "framing alone, importable": {
        "": "framing/test_sse_errors.py::test_the_parser_alone_follows_the_standard"
    },
    "formats of providers read / detected from bytes": {
        "formats of providers read": "test_recordings.py::test_a_stream_made_for_this_project_gives_what…",
        "detected from bytes": "detection/test_first_payload.py::test_the_first_payload_tells_the_format",
    },
    "wraps other SDKs' streams (`tap`)": {
        "": "compare/sdks/tap/test_whole.py::test_the_loop_gets_the_sdks_own_objects"
    },
    "unknown events kept; departures named": {
        "unknown events kept": "formats/test_tgi.py::test_a_payload_that_is_no_token_is_an_unknown_event",
        "departures named": "docs/test_departures_doc.py::test_no_detail_is_noted_that_has_no_name",
    },
    "verdict: clean end without finish is no success": {
        "": "_connection/test_truncation.py::test_a_stream_that_is_cut_is_truncated_and_keeps_what_had_come"
    },
    "two calls on one index / interleaved calls right": {
        "two calls on one index": "formats/openai_chat/test_growing.py::test_calls_with_one_index_are_known…",
        "interleaved calls right": "formats/openai_chat/test_call_fragments.py::test_fragments_find…",
    },
    "cut arguments never a call": {
        "": "_connection/test_truncation.py::test_a_tool_call_that_was_cut_is_kept_but_not_complete"
    },
    "a call sent again is one call": {
        "": "formats/test_repeated_calls.py::test_a_call_that_is_repeated_word_for_word_is_one_call"
    },
    "usage never nulled, with provenance": {
        "usage never nulled": "_answer/test_accumulator.py::test_usage_is_merged_and_never_nulled",
        "with provenance": "_answer/test_usage.py::test_a_record_tells_a_source_only_where_its_reader…",
    },
    "reasoning, signatures, citations, media, server tools": {
        "reasoning, signatures": "formats/anthropic/test_text.py::test_thinking_keeps_its_signature",
        "citations": "formats/anthropic/test_text.py::test_citations_of_every_kind_name_the_text_that_they…",
        "media, server tools": "_answer/test_accumulator.py::test_signatures_and_server_tools_and_media",
    },
    "snapshot at any time, immutable, linear": {
        "snapshot at any time": "_answer/test_accumulator.py::test_a_message_is_the_same_object_until…",
        "immutable": "test_message.py::test_a_message_never_changes",
        "linear": "_answer/test_accumulator.py::test_messages_of_a_long_text_cost_no_more_each",
    },
    "typed result; dataclass/TypedDict too": {
        "typed result": "stream/test_outputs.py::test_the_result_is_the_validated_value",
        "dataclass/TypedDict too": "partial_json/test_draft_law.py::test_the_end_is_what_pydantic_makes_of…",
    },
    "drafts per delta with required fields; finality per field": {
        "drafts per delta with required fields": "stream/test_outputs.py::test_an_object_is_watched_while…",
        "finality per field": "partial_json/test_draft.py::test_a_field_shows_as_far_as_it_is",
    },
    "each list item when it closes": {
        "": "stream/test_outputs.py::test_elements_come_as_soon_as_each_closes"
    },
    "stop at the first broken field; reask with reason": {
        "stop at the first broken field": "stages/test_objects_partials.py::test_fail_fast_ends_it_at_the…",
        "reask with reason": "stream/test_ask_again.py::test_one_more_request_has_the_answer_and_what_is…",
    },
    "repaired almost-JSON, fences; JSON patches": {
        "repaired almost-JSON, fences": "partial_json/test_lenient.py::test_damage_comes_out_as_intended…",
        "JSON patches": "partial_json/test_patch.py::test_patches_lead_to_each_draft",
    },
    "schema from function, arguments checked, run while streaming, results as turns": {
        "schema from function": "schemas/tools/test_forms.py::test_what_a_function_says_of_itself_is_in…",
        "arguments checked": "stages/test_tools.py::test_a_call_with_invalid_arguments_has_an_error",
        "run while streaming": "router/test_tools.py::test_tools_come_after_the_handlers_of_the_same_event",
        "results as turns": "turns/test_results.py::test_results_follow_the_assistants_turn_in_the_order…",
    },
    "exactly once over retries and processes (store)": {
        "exactly once over retries": "call_store/test_once.py::test_an_answer_that_is_cut_and_restarted…",
        "processes (store)": "call_store/test_once.py::test_two_processes_with_one_redis_run_each_call_once",
    },
    "tool that yields progress (generator)": {
        "": "router/test_generators.py::test_what_a_generator_yields_is_shown_before_its_result"
    },
    "tool calls written as text (`<tool_call>…`)": {
        "": "calls_in_text/test_laws.py::test_each_row_of_the_table_is_read_and_reported_at_every_cut"
    },
    "approval / human in the loop": {
        "approval": "relay/encode/test_approvals.py::test_a_call_that_waits_for_approval_is_shown_as_such",
        "human in the loop": "steps/test_waiting_runs.py::test_a_tool_that_waits_has_the_result_of_the…",
    },
    "partial on every exception": {"": "faults/driver.py::_look_at"},
    "retry mid-stream / continue with reported confidence": {
        "retry mid-stream": "recovery/test_restart.py::test_several_restarts_compare_with_all_that_was_given",
        "continue with reported confidence": "recovery/test_continue.py::test_whoever_reads_sees_one_answer",
    },
    "routes, fallback, hedge, price cap": {
        "routes": "recovery/routes/test_counting.py::test_a_function_comes_after_the_attempts_of_the_route…",
        "fallback": "recovery/routes/test_counting.py::test_a_route_has_its_own_attempts_and_then_the_next…",
        "hedge": "recovery/test_hedge.py::test_the_second_attempt_is_read_where_it_shows_content_first",
        "price cap": "recovery/routes/test_costs.py::test_is_an_error_for_final_and_the_end_of_a_loop…",
    },
    "deadline on every silence (sync too)": {
        "deadline on every silence": "stream/test_deadlines.py::test_each_deadline_fires",
        "(sync too)": "stream/test_deadlines_sync.py::test_a_silent_answer_meets_its_deadline",
    },
    "pauses, background, continuation tokens as one answer": {
        "pauses": "recovery/test_pauses.py::test_a_paused_answer_goes_on_by_itself",
        "background": "recovery/test_background.py::test_the_rest_is_taken_from_the_finished_response",
        "continuation tokens as one answer": "recovery/test_pauses_tokens.py::test_the_answer_goes_on_from…",
    },
    "checkpoint to another process": {
        "": "recovery/test_job.py::test_another_process_has_the_answer_continued"
    },
    "reorder, de-duplicate": {
        "": "stages/test_reorder.py::test_any_order_and_any_repetition_gives_each_frame_once_in_order"
    },
    "stop from thread or task; leaving closes": {
        "stop from thread or task": "stream/test_stop_async.py::test_stop_from_elsewhere_ends_a_read_in…",
        "leaving closes": "stream/test_closing_sync.py::test_each_way_out_closes_the_connection",
    },
    "guards: regex, repetition, tokens, hold": {
        "guards: regex": "stages/test_guards.py::test_a_pattern_is_found_as_soon_as_nothing_can_undo_it",
        "repetition": "stages/test_guards.py::test_a_text_that_repeats_itself_is_stopped_soon",
        "tokens": "stages/test_guards.py::test_tokens_are_counted_by_the_provider_or_estimated",
        "hold": "stream/guards/test_beside.py::test_nothing_is_given_before_a_rule_that_holds_has_spoken",
    },
    "money budget while streaming, price table": {
        "money budget while streaming": "money/test_room.py::test_is_stopped_once_the_purse_is_empty",
        "price table": "recovery/routes/test_costs.py::test_are_those_of_the_model_and_the_host",
        "(genai-prices)": "recovery/routes/test_costs.py::test_do_not_exist_without_the_extra",
    },
    "smooth, words, graphemes, sentences, throttle": {
        "smooth": "stages/test_smooth.py::test_bursts_become_an_even_flow",
        "words": "stages/test_words.py::test_a_text_comes_word_by_word",
        "graphemes": "stages/test_graphemes.py::test_a_letter_is_returned_whole",
        "sentences": "stages/test_sentences.py::test_a_text_comes_sentence_by_sentence",
        "throttle": "stages/test_throttle.py::test_the_pieces_joined_are_the_text_and_none…",
    },
    "markdown blocks, repaired": {
        "markdown blocks": "stages/markdown/test_blocks.py::test_a_text_is_cut_into_its_blocks",
        "repaired": "stages/markdown/test_law.py::test_documents_by_hand_hold_the_law",
    },
    "redact across chunks": {
        "redact across chunks": "stages/test_redact.py::test_the_pieces_joined_are_what_sub_makes_of_the…",
        "(a pattern needs `max_length=`)": "stages/test_redact.py::test_a_pattern_that_no_stream_can_follow…",
    },
    "OpenAI's inline citation markers (U+E200–E202) resolved or removed": {
        "": "citations_in_text/test_markers.py::test_markers_leave_the_text_and_tell_their_place"
    },
    "fan-out / merge": {
        "fan-out": "stream/broadcast/test_events.py::test_every_reader_gets_every_event",
        "merge": "stream/test_merge.py::test_each_event_comes_with_the_label_of_its_stream",
    },
    "marks of time, gaps, OTel": {
        "marks of time": "stages/test_metrics.py::test_marks_are_seconds_from_the_start",
        "gaps": "stages/test_metrics.py::test_gaps_and_stalls",
        "OTel": "otel/observe/test_span.py::test_the_span_tells_what_was_asked_and_answered",
    },
    "to browsers: protocols": {"": "relay/test_round_trip.py::test_the_bytes_of_a_script_need_no_name"},
    "resumable, tabs, stop; store": {
        "resumable": "relay/follow/test_readers.py::test_every_protocol_goes_on_where_a_reader_left",
        "tabs": "relay/journal_laws/reading.py::test_every_reader_sees_every_event_once_in_order",
        "stop": "relay/journal_laws/producing.py::test_a_stop_works_from_every_process",
        "store": "relay/storage_laws.py::test_many_at_once_claim_a_key",
        "memory": "relay/test_memory_journal.py::test_a_journal_is_used_in_its_block",
        "Redis": "relay/test_redis_processes.py::test_two_processes_share_answers",
        "your own store by a protocol": "relay/test_memory_journal.py::test_a_storage_that_is_slow_holds…",
    },
    "JS package, React hooks": {
        "JS package": "browser/test_package.py::test_npm_installs_the_folder",
        "React hooks": "browser/test_in_chromium.py::test_a_component_of_react_shows_an_answer_in_a_store",
        "(in the wheel, not on npm)": "test_packaging.py::test_the_package_for_javascript_is_private_and…",
    },
    "WebSocket sessions (Responses, Realtime, Gemini Live)": {
        "WebSocket sessions (Responses": "session/test_responses.py::test_only_what_is_new_is_sent",
        "Realtime": "session/test_realtime.py::test_the_server_keeps_the_conversation",
        "Gemini Live": "session/test_live.py::test_a_session_is_set_up_once",
    },
    "steer / inject into a running answer": {
        "steer / inject into a running answer": "session/test_steering.py::test_an_answer_goes_on_with_the…",
        "OpenAI Responses": "session/test_steering.py::test_an_answer_ends_once_its_input_is_settled",
        "agents": "steps/test_steering_agents.py::test_claude_code_takes_input_on_its_standard_input",
    },
    "GPT-Live, Live Interactions, realtime translation/transcription": {
        "GPT-Live, realtime translation": "formats/test_openai_live.py::test_the_audio_is_a_part_beside…",
        "Live Interactions": "session/test_session.py::test_options_that_cannot_work_are_refused",
        "transcription": "formats/test_transcription.py::test_a_session_is_truncated_wherever_an_utterance…",
    },
    "coding agents, ACP, A2A, hosted sessions as runs": {
        "coding agents": "steps/agents/test_coding_agents.py::test_a_recorded_run_becomes_one_turn_with…",
        "ACP": "steps/peer/test_peer.py::test_a_request_of_the_agent_is_answered_once",
        "A2A": "steps/agents/test_a2a.py::test_a_recorded_task_is_a_turn_with_its_text_and_its_context",
        "hosted sessions as runs": "steps/hosted/test_anthropic_agents.py::test_a_turn_has_its_text_and…",
    },
    "sync view of an async source": {
        "": "stream/test_threaded.py::test_an_asynchronous_answer_is_read_in_a_for_loop"
    },
    "scripts, recordings, every cut, virtual clock, mock server, fault matrix": {
        "scripts": "testing/test_script.py::test_a_script_is_the_message_that_its_stream_comes_to",
        "recordings": "testing/test_recording_file.py::test_what_is_written_is_read_again",
        "every cut": "testing/test_matrix.py::test_there_is_one_cut_for_each_byte",
        "virtual clock": "testing/test_replay_in_real_time.py::test_a_virtual_clock_stands_still_until_it…",
        "mock server": "testing/test_serve.py::test_a_script_is_sent_as_the_provider_would_send_it",
        "fault matrix": "testing/test_matrix.py::test_there_is_a_matrix_for_every_format",
    },
}
"""Rows of the table, and the tests of their words and of those in our cell.

"" stands for all words of a row. A long name ends with … and not in its last words.
"""
_ROW = re.compile(r"^\| (?P<name>[^|]+) \| \*\*(?P<ours>[^|]+)\*\* \|", re.MULTILINE)
_VERDICTS = re.compile(r"\b[yp]\b|–|\d+|dialects|\band\b|[\W_]")
"""What of a row is no claim of its own: marks, numbers (which are counted), and what joins words."""


@cache
def _source_of(path: str) -> str:
    file = ROOT / "tests" / path
    return file.read_text(encoding="utf-8") if file.is_file() else ""


@pytest.mark.parametrize("row", TESTS)
def test_each_word_of_a_row_has_a_test(row: str) -> None:
    for test in TESTS[row].values():
        path, _, name = test.partition("::")
        end = r"\(" if name == name.rstrip("…") else ""
        assert re.search(rf"\bdef {name.rstrip('…')}{end}", _source_of(path)), test


def test_each_row_is_tried_or_lacked() -> None:
    page = CAPABILITIES.read_text(encoding="utf-8")
    head, *rows = _ROW.finditer(page)

    assert head["name"] == "capability"
    assert {row["name"] for row in rows if row["ours"].startswith("–")} == LACKED
    assert {row["name"] for row in rows} == TESTS.keys() | LACKED


def test_each_word_of_a_row_and_of_our_cell_is_tried() -> None:
    """Without the words that have tests, nothing is left that says something."""
    for row in _ROW.finditer(CAPABILITIES.read_text(encoding="utf-8")):
        left = f"{row['name']} {row['ours']}"
        for words in sorted(TESTS.get(row["name"], ()), key=len, reverse=True):
            for word in re.split(r", (?![^(]*\))", words or row["name"]):
                assert word in left, (row["name"], word)
                left = left.replace(word, "")
        if row["name"] in TESTS:
            assert not _VERDICTS.sub("", left), (row["name"], left)


def test_the_numbers_in_our_cells_are_counted() -> None:
    page = CAPABILITIES.read_text(encoding="utf-8")
    formats, protocols = (len(get_args(names)) for names in (FormatName, ProtocolName))

    for cell in (f"y {formats} / y", f"y, {len(NAMES)} dialects", f"y {protocols}"):
        assert f"| **{cell}** |" in page
