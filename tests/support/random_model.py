"""Random model: a language model without a meaning, for servers that read GGUF files (llama.cpp and its kin).

A llama of one layer, whose tokens are bytes. What follows what is laid down by character: a text ends after a few
letters, a number after two digits, a list after one item or none. The rest is drawn by the seed and moved by the
prompt: the letters, and so the words of a closed list. Without a grammar it says nothing at all; what it says in
JSON, the server's grammar made it say. The format: github.com/ggml-org/ggml, docs/gguf.md.
"""

from __future__ import annotations

import random
import string
import struct
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

#: How the server writes a conversation for the model.
TEMPLATE: Final = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: "

#: A token for each byte, the space by the name that this kind of tokenizer gives it.
_TOKENS: Final = ("<unk>", "<s>", "</s>", *("▁" if byte == 0x20 else f"<0x{byte:02X}>" for byte in range(256)))
_START, _END = 1, 2
_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6
_TOKEN_TYPES: Final = (_UNKNOWN, _CONTROL, _CONTROL, *(_NORMAL if byte == 0x20 else _BYTE for byte in range(256)))

_CONTEXT, _WIDTH, _HEADS, _INNER = 16_384, 64, 4, 32
_LETTERS: Final = string.ascii_lowercase
_DIGITS: Final = "123456789"
#: What may come after what, and how much it is wanted; the noise decides between equals. All else is not wanted.
_AFTER: Final[Mapping[str, Mapping[str, float]]] = {
    # Only letters later in the alphabet, so every word ends.
    **{letter: {_LETTERS[n + 1 :]: 4, '"': 2, ",:]}": 0} for n, letter in enumerate(_LETTERS)},
    '"': {_LETTERS: 6, "]": 2, ",:}": 1},  # a list with one item has enough of them
    ":[,{ ": {_LETTERS: 6, '"[]{0': 6},
    "0": {".": 5, ",]}": 2},
    ".": {_DIGITS: 5},
    _DIGITS: {",]}": 2},
    "]}": {",]}": 2},
}
_NOT_WANTED: Final = -10.0
#: The first dimensions say what kind of character a token is, with a number far above the noise of the others.
_KINDS: Final = tuple(_AFTER)
_KIND_SIZE: Final = 8.0

_Tensor = tuple[Sequence[int], "array[float]"]
_Value = str | int | float | bool | Sequence[str] | Sequence[int] | Sequence[float]


def write_random_model(path: Path, *, seed: int) -> None:
    """Write the model: 220 kB, the same for the same seed."""
    metadata: dict[str, _Value] = {
        "general.architecture": "llama",
        "llama.context_length": _CONTEXT,
        "llama.embedding_length": _WIDTH,
        "llama.block_count": 1,
        "llama.feed_forward_length": _INNER,
        "llama.attention.head_count": _HEADS,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": _WIDTH // _HEADS,
        "llama.vocab_size": len(_TOKENS),
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": _TOKENS,
        "tokenizer.ggml.scores": [0.0] * len(_TOKENS),
        "tokenizer.ggml.token_type": _TOKEN_TYPES,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.bos_token_id": _START,
        "tokenizer.ggml.eos_token_id": _END,
        "tokenizer.ggml.add_space_prefix": False,
        "tokenizer.chat_template": TEMPLATE,
    }
    path.write_bytes(_gguf(metadata, _tensors(random.Random(seed))))


def _tensors(draw: random.Random) -> Mapping[str, _Tensor]:
    def noise(inputs: int, outputs: int, spread: float) -> _Tensor:
        return _rows([[draw.gauss(0, spread) for _ in range(inputs)] for _ in range(outputs)])

    def noise_beside_the_kinds(inputs: int, spread: float) -> _Tensor:
        return _rows([[draw.gauss(0, spread if n >= len(_KINDS) else 0) for _ in range(inputs)] for n in range(_WIDTH)])

    ones: _Tensor = (_WIDTH,), array("f", [1.0] * _WIDTH)
    return {
        "token_embd.weight": _rows([_embedding(token, draw) for token in range(len(_TOKENS))]),
        "blk.0.attn_norm.weight": ones,
        "blk.0.attn_q.weight": noise(_WIDTH, _WIDTH, 0.3),
        "blk.0.attn_k.weight": noise(_WIDTH, _WIDTH, 0.3),
        "blk.0.attn_v.weight": noise(_WIDTH, _WIDTH, 0.1),
        "blk.0.attn_output.weight": noise_beside_the_kinds(_WIDTH, 0.1),
        "blk.0.ffn_norm.weight": ones,
        "blk.0.ffn_gate.weight": noise(_WIDTH, _INNER, 0.1),
        "blk.0.ffn_up.weight": noise(_WIDTH, _INNER, 0.1),
        "blk.0.ffn_down.weight": noise_beside_the_kinds(_INNER, 0.1),
        "output_norm.weight": ones,
        "output.weight": _rows([_readout(token, draw) for token in range(len(_TOKENS))]),
    }


def _embedding(token: int, draw: random.Random) -> list[float]:
    character = _character(token)
    kinds = [_KIND_SIZE if character and character in kind else 0.0 for kind in _KINDS]
    return kinds + [draw.gauss(0, 1) for _ in range(_WIDTH - len(_KINDS))]


def _readout(token: int, draw: random.Random) -> list[float]:
    wanted = [_wanted(_AFTER[kind], token) for kind in _KINDS]
    return wanted + [draw.gauss(0, 0.2) for _ in range(_WIDTH - len(_KINDS))]


def _wanted(after: Mapping[str, float], token: int) -> float:
    if token == _END:
        return 10.0
    character = _character(token)
    return next((wanted for several, wanted in after.items() if character and character in several), _NOT_WANTED)


def _character(token: int) -> str:
    return chr(token - 3) if token > _END else ""


def _rows(rows: Sequence[Sequence[float]]) -> _Tensor:
    return (len(rows[0]), len(rows)), array("f", (value for row in rows for value in row))


def _gguf(metadata: Mapping[str, _Value], tensors: Mapping[str, _Tensor]) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(_text(key) + _typed(value) for key, value in metadata.items())
    data = b""
    for name, (shape, values) in tensors.items():
        head += _text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, len(data))
        data += _aligned(values.tobytes())
    return _aligned(head) + data


def _typed(value: _Value) -> bytes:
    if isinstance(value, str | bool | int | float):
        kind, packed = _packed(value)
        return struct.pack("<I", kind) + packed
    # Whole numbers in lists are signed: the server insists on that.
    items = [(5, struct.pack("<i", each)) if isinstance(each, int) else _packed(each) for each in value]
    return struct.pack("<IIQ", 9, items[0][0], len(items)) + b"".join(packed for _, packed in items)


def _packed(value: str | float) -> tuple[int, bytes]:
    """The type's number in GGUF, and the value."""
    if isinstance(value, str):
        return 8, _text(value)
    if isinstance(value, bool):
        return 7, struct.pack("<?", value)
    if isinstance(value, int):
        return 4, struct.pack("<I", value)
    return 6, struct.pack("<f", value)


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _aligned(data: bytes) -> bytes:
    return data + bytes(-len(data) % 32)
