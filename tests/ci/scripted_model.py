"""Write a model for llama.cpp whose answer is scripted: `python -m tests.ci.scripted_model SOURCE NAME OUT`.

SOURCE is llama.cpp's source, which has a vocabulary without weights and the templates of many models. The
weights are random, and attention and feed-forward are zero: the hidden state is the embedding of the last
token, and points at the output row of the next token of the script. Each token may occur once.
"""

from __future__ import annotations

import sys
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

LAYERS, WIDTH, HEADS, FEED, CONTEXT = 1, 128, 2, 64, 8192
SCRIPTS: dict[str, tuple[str, list[str]]] = {
    "reasoning": ("Qwen-QwQ-32B", [">\n", " Hmm", "</", "think", ">\n\n", " I", " look", ".", "<|im_end|>"]),
    "reasoning of GLM": (
        "GLM-4.7-Flash",
        [">", " Hmm", "</", "think", ">\n\n", " I", " look", ".", "<|im_end|>"],
    ),
    "text of DeepSeek": ("deepseek-ai-DeepSeek-V4", [">", "I", " look", ".", "<|im_end|>"]),
    "reasoning of Qwen 3.5": (
        "Qwen3.5-4B",
        [">\n", " Hmm", "</", "think", ">\n\n", " I", " look", ".", "<|im_end|>"],
    ),
    "call": (
        "Qwen-Qwen2.5-7B-Instruct",
        [
            *("\n", "I", " look", ".", "<", "tool", "_call", ">\n", '{"', "name", '":"', "pay", '","'),
            *("arguments", '":{"', "x", '":', ' "', "A", '"}', "}\n", "</", "t", "ool", "_", "call", ">"),
            "<|im_end|>",
        ],
    ),
}
"""The template of each model, and the tokens of its answer; the first is the last one of the prompt."""


def write(source: Path, name: str, out: Path) -> None:
    gguf: Any = import_module("gguf")
    template, script = SCRIPTS[name]
    reader: Any = gguf.GGUFReader(source / "models" / "ggml-vocab-qwen2.gguf")
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    writer: Any = gguf.GGUFWriter(out, "llama")
    writer.add_name(name)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_file_type(1)
    writer.add_vocab_size(len(tokens))
    for key, field in reader.fields.items():
        if key.startswith("tokenizer.") and key != "tokenizer.chat_template":
            kind, items = field.types[0], field.types[-1] if len(field.types) > 1 else None
            writer.add_key_value(key, field.contents(), kind, sub_type=items)
    chat = source / "models" / "templates" / f"{template}.jinja"
    writer.add_chat_template(chat.read_text(encoding="utf-8"))
    for tensor, values in _weights(tokens, script).items():
        writer.add_tensor(tensor, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _weights(tokens: list[str], script: list[str]) -> dict[str, Any]:
    """Return the tensors with which each token of a script is followed by the next one."""
    np: Any = import_module("numpy")
    draw = np.random.default_rng(3)

    def some(*shape: int, scale: float = 0.08) -> Any:
        return (draw.standard_normal(shape) * scale).astype(np.float16)

    embedding, output = some(len(tokens), WIDTH), some(len(tokens), WIDTH, scale=0.024)
    place = {token: number for number, token in enumerate(tokens)}
    # The vocabulary writes bytes as letters.
    steps = [place[token.replace(" ", "\u0120").replace("\n", "\u010a")] for token in script]
    for before, after in pairwise(steps):
        output[after] = (embedding[before].astype(np.float32) * 12).astype(np.float16)
    tensors = {"token_embd.weight": embedding, "output.weight": output}
    tensors["output_norm.weight"] = np.ones(WIDTH, np.float32)
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        for norm in ("attn_norm", "ffn_norm"):
            tensors[f"{block}.{norm}.weight"] = np.ones(WIDTH, np.float32)
        for part in ("attn_q", "attn_k", "attn_v"):
            tensors[f"{block}.{part}.weight"] = some(WIDTH, WIDTH)
        tensors[f"{block}.attn_output.weight"] = np.zeros((WIDTH, WIDTH), np.float16)
        for part in ("ffn_gate", "ffn_up"):
            tensors[f"{block}.{part}.weight"] = some(FEED, WIDTH)
        tensors[f"{block}.ffn_down.weight"] = np.zeros((WIDTH, FEED), np.float16)
    return tensors


if __name__ == "__main__":
    write(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
