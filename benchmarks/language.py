"""Would words do for task labels? How often a sentence encoder finds the task that a new phrasing means.

The encoder is wordllama's table of token embeddings, averaged over a sentence. Its weights come in its package, not a
dependency of this project:

    .venv/bin/pip install --no-deps --target /tmp/words wordllama==0.4.0.post1 tokenizers==0.23.3
    PYTHONPATH=/tmp/words .venv/bin/python benchmarks/language.py
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml
from safetensors.numpy import load_file
from tokenizers import Tokenizer

PHRASINGS = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
NO_TASK = (
    "make me a sandwich",
    "the weather is nice today",
    "fold the towel",
    "paint the wall",
    "wash the dishes",
    "play chess",
    "vacuum the floor",
)


def encoder() -> Callable[[str], np.ndarray]:
    """Sentence → float32 [256] of length 1."""
    package = importlib.util.find_spec("wordllama")
    assert package
    assert package.origin, "install wordllama as the top of this file says"
    folder = Path(package.origin).parent
    table = load_file(folder / "weights/l2_supercat_256.safetensors")["embedding.weight"].astype(np.float32)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizers/l2_supercat_tokenizer_config.json"))

    def encode(sentence: str) -> np.ndarray:
        vector = table[tokenizer.encode(sentence, add_special_tokens=False).ids].mean(0)
        return vector / np.linalg.norm(vector)

    return encode


def main() -> None:
    encode = encoder()
    labels = list(PHRASINGS)
    by_label = np.stack([encode(label.replace("_", " ")) for label in labels])  # [tasks, 256]
    by_phrase = np.stack([[encode(phrase) for phrase in PHRASINGS[label]] for label in labels])
    tasks, phrasings, _ = by_phrase.shape  # [tasks, phrasings, 256]

    def report(name: str, found: np.ndarray) -> None:
        right = found == np.arange(tasks)[:, None]
        print(f"{name}: {right.sum()} of {right.size} phrasings find their task")
        for task, phrase in np.argwhere(~right):
            print(f"    {PHRASINGS[labels[task]][phrase]!r}: taken for {labels[found[task, phrase]]}")

    report("knowing only the labels", (by_phrase @ by_label.T).argmax(-1))

    found = np.zeros((tasks, phrasings), int)
    for task in range(tasks):
        for phrase in range(phrasings):
            known = np.concatenate([by_label[:, None], by_phrase], 1)  # [tasks, 1 + phrasings, 256]
            means = known.mean(1)
            means[task] = np.delete(known[task], 1 + phrase, 0).mean(0)
            means /= np.linalg.norm(means, axis=-1, keepdims=True)
            found[task, phrase] = (means @ by_phrase[task, phrase]).argmax()
    report(f"knowing {phrasings - 1} other phrasings of each as well", found)

    own = np.einsum("tpd,td->tp", by_phrase, by_label)
    low, middle = np.quantile(own, [0.05, 0.5])
    print(f"likeness of a phrasing to its label: {middle:.2f} in the middle, {low:.2f} at the 5th percentile")
    for sentence in NO_TASK:
        print(f"    of {sentence!r} to the nearest label: {(by_label @ encode(sentence)).max():.2f}")


if __name__ == "__main__":
    main()
