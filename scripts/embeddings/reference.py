# python reference.py FOLDER: for each pooling a folder as sentence-transformers writes it, of a network with the sizes of
# all-MiniLM-L6-v2 and seeded random weights, as ONNX; texts.json; and what sentence-transformers makes of them,
# pooling.json. Prints the versions as JSON. Needs torch, transformers, tokenizers, sentence-transformers, onnx.
import json, pathlib, random, sys

import sentence_transformers, tokenizers, torch, transformers
from sentence_transformers import SentenceTransformer, models
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors, trainers
from tokenizers.models import WordPiece

TEXTS = 30
LONGEST = 256
POOLINGS = {"mean": True, "cls": True, "max": False}

out = pathlib.Path(sys.argv[1])
root = pathlib.Path(__file__).resolve().parents[2]
corpus = [
    line.strip()
    for name in ["README.md", "ARCHITECTURE.md", *sorted(f"docs/{file.name}" for file in (root / "docs").glob("*.md"))]
    for line in (root / name).read_text(encoding="utf8").splitlines()
    if line.strip()
]

tokenizer = Tokenizer(WordPiece(unk_token="[UNK]"))
tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
tokenizer.train_from_iterator(corpus, trainers.WordPieceTrainer(vocab_size=4000, special_tokens=special))
ids = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
tokenizer.post_processor = processors.TemplateProcessing(
    single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids
)
fast = transformers.PreTrainedTokenizerFast(
    tokenizer_object=tokenizer,
    model_max_length=LONGEST,
    model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    **{f"{name}_token": f"[{name.upper()}]" for name in ("unk", "sep", "pad", "cls", "mask")},
)

torch.manual_seed(0)
config = transformers.BertConfig(
    vocab_size=tokenizer.get_vocab_size(),
    hidden_size=384,
    num_hidden_layers=6,
    num_attention_heads=12,
    intermediate_size=1536,
    max_position_embeddings=512,
)
bert = transformers.BertModel(config, add_pooling_layer=False).eval()
# Random weights as they are initialised leave texts alike; larger ones tell them apart.
with torch.no_grad():
    for name, weight in bert.named_parameters():
        if weight.dim() == 2:
            weight.mul_(2)

chooser = random.Random(0)
words = " ".join(corpus).split()
lengths = [1, 2, 3, 400, *(chooser.randint(1, 120) for _ in range(TEXTS - 4))]
texts = [" ".join(chooser.choice(words) for _ in range(length)) for length in lengths]
(out / "texts.json").write_text(json.dumps(texts))

plain = out / "bert"
bert.save_pretrained(plain)
fast.save_pretrained(plain)


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.bert = bert

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.bert(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state


names = ["input_ids", "attention_mask", "token_type_ids"]
example = fast(["a text", "another, longer text"], padding=True, return_tensors="pt")
vectors = {}
for pooling, normalize in POOLINGS.items():
    word = models.Transformer(str(plain), max_seq_length=LONGEST)
    parts = [word, models.Pooling(config.hidden_size, pooling_mode=pooling)]
    whole = SentenceTransformer(modules=parts + ([models.Normalize()] if normalize else []), device="cpu")
    folder = out / pooling
    whole.save(str(folder))
    (folder / "onnx").mkdir()
    torch.onnx.export(
        Network(),
        tuple(example[name] for name in names),
        str(folder / "onnx" / "model.onnx"),
        input_names=names,
        output_names=["last_hidden_state"],
        dynamic_axes={name: {0: "batch", 1: "sequence"} for name in [*names, "last_hidden_state"]},
        opset_version=17,
        dynamo=False,
    )
    vectors[pooling] = whole.encode(texts, convert_to_numpy=True).tolist()
(out / "vectors.json").write_text(json.dumps(vectors))
libraries = (torch, transformers, tokenizers, sentence_transformers)
print(json.dumps({library.__name__: library.__version__ for library in libraries}))
