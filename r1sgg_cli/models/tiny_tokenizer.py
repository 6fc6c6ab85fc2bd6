"""Tiny tokenizers: each family's own special tokens and chat format, and a vocabulary made of the texts at hand.

The pre-tokenizer keeps each JSON key with its punctuation and each number in one token: a graph of three objects takes
about 45 tokens.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from r1sgg_cli.models.families import ModelType

MAX_VOCABULARY = 2048
MAX_POSITIONS = 4096

# One token each, yet ordinary text: decoding with skip_special_tokens must keep them.
ANSWER_TAGS = ("<think>", "</think>", "<answer>", "</answer>")

# In this order: JSON keys with the punctuation around them, object ids, `,450` or `,0.45`, words, blanks, other
# punctuation. An id in one token is copied in one look back; in three, a tiny model mixes up the ids of a graph.
PIECES = r"""(?:[\[\]{},"]*"\w+":)+[\["]*|\p{L}[\p{L} _-]*\.\d+|,?\d+\.\d+|,?\d+| ?\p{L}+|\s+|[^\s\p{L}\d]+"""


@dataclass(frozen=True, slots=True)
class ChatFormat:
    """How a family writes a conversation."""

    special_tokens: tuple[str, ...]
    """In the order of their ids."""
    template: str
    end: str
    """Closes an answer."""
    pad: str
    start: str | None = None
    """Stands before every text; added by the tokenizer, not by the template."""
    named: Mapping[str, str] = field(default_factory=dict)
    """The tokens of images and videos, under the names by which the processor asks the tokenizer for them."""

    @property
    def unnamed(self) -> list[str]:
        """Special tokens that no one asks for by name."""
        known = {self.start, self.end, self.pad, *self.named.values()}
        return [token for token in self.special_tokens if token not in known]


def _chatml(image: str, video: str) -> str:
    return (
        "{%- for message in messages -%}"
        "{{- '<|im_start|>' + message['role'] + '\n' -}}"
        "{%- if message['content'] is string -%}{{- message['content'] -}}"
        "{%- else -%}{%- for part in message['content'] -%}"
        f"{{%- if part['type'] == 'image' -%}}{{{{- '{image}' -}}}}"
        f"{{%- elif part['type'] == 'video' -%}}{{{{- '{video}' -}}}}"
        "{%- else -%}{{- part['text'] -}}{%- endif -%}"
        "{%- endfor -%}{%- endif -%}"
        "{{- '<|im_end|>\n' -}}"
        "{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
    )


_QWEN = ChatFormat(
    special_tokens=(
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
        "<|vision_start|>",
        "<|vision_end|>",
        "<|image_pad|>",
        "<|video_pad|>",
    ),
    template=_chatml("<|vision_start|><|image_pad|><|vision_end|>", "<|vision_start|><|video_pad|><|vision_end|>"),
    end="<|im_end|>",
    pad="<|endoftext|>",
)
_INTERNVL = ChatFormat(
    special_tokens=("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<video>"),
    template=_chatml("<IMG_CONTEXT>\n", "<video>\n"),  # its processor writes the tokens around an image
    end="<|im_end|>",
    pad="<|endoftext|>",
    named={
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    },
)
# As LLaVA-1.5 ships it: images before the text of a turn, and nothing that closes an answer.
_LLAVA = ChatFormat(
    special_tokens=("<s>", "</s>", "<image>", "<pad>"),
    template=(
        "{%- for message in messages -%}"
        "{%- if message['role'] != 'system' -%}{{- message['role'] | upper + ': ' -}}{%- endif -%}"
        "{%- if message['content'] is string -%}{{- message['content'] + ' ' -}}"
        "{%- else -%}"
        "{%- for part in message['content'] if part['type'] == 'image' -%}{{- '<image>\n' -}}{%- endfor -%}"
        "{%- for part in message['content'] if part['type'] == 'text' -%}{{- part['text'] + ' ' -}}{%- endfor -%}"
        "{%- endif -%}"
        "{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{- 'ASSISTANT:' -}}{%- endif -%}"
    ),
    end="</s>",
    pad="<pad>",
    start="<s>",
    named={"image_token": "<image>"},
)
CHAT_FORMATS: Mapping[ModelType, ChatFormat] = {
    "qwen2_vl": _QWEN,
    "qwen2_5_vl": _QWEN,
    "qwen3_vl": _QWEN,
    "internvl": _INTERNVL,
    "llava": _LLAVA,
}


def train_tokenizer(texts: Iterable[str], chat: ChatFormat) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer for these texts, with the special tokens and the template of a chat format."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=MAX_VOCABULARY,
        min_frequency=1,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in chat.special_tokens])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in ANSWER_TAGS])
    if chat.start is not None:
        start = (chat.start, tokenizer.token_to_id(chat.start))
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{chat.start} $A", special_tokens=[start])
    by_name = {"bos_token": chat.start, "model_specific_special_tokens": dict(chat.named)}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=chat.end,
        pad_token=chat.pad,
        additional_special_tokens=chat.unnamed,
        clean_up_tokenization_spaces=False,
        padding_side="left",
        model_max_length=MAX_POSITIONS,
        chat_template=chat.template,
        **{field: value for field, value in by_name.items() if value},
    )
