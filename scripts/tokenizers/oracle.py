# Writes fixtures/tokenizers: three small tokenizers of different kinds, a thousand hard strings, and what Python's
# tokenizers makes of them. Needs: pip install tokenizers. Usage: python scripts/tokenizers/oracle.py
import json, pathlib, random, zlib
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers, decoders

out = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "tokenizers"
root = out.parents[1]
lines = (root / "README.md").read_text().splitlines() + (root / "docs" / "features.md").read_text().splitlines()
lines += ["straße größe naïve café Ω ελληνικά русский 日本語 中文 한국어 😀 👩‍👩‍👧 ا ل ع ر ب ي ة"] * 8

def wordpiece():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.train_from_iterator(lines, trainers.WordPieceTrainer(vocab_size=500, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], limit_alphabet=200))
    t.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", t.token_to_id("[CLS]")), ("[SEP]", t.token_to_id("[SEP]"))])
    t.decoder = decoders.WordPiece()
    t.enable_truncation(16)
    t.enable_padding(pad_id=0, pad_token="[PAD]")
    return t

def bytebpe():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=500, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    t.post_processor = processors.RobertaProcessing(("</s>", t.token_to_id("</s>")), ("<s>", t.token_to_id("<s>")), add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.enable_truncation(12)
    t.enable_padding(pad_id=1, pad_token="<pad>", pad_to_multiple_of=4)
    return t

def unigram():
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.NFKC()
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.train_from_iterator(lines, trainers.UnigramTrainer(vocab_size=400, special_tokens=["<unk>", "</s>", "<pad>"], unk_token="<unk>"))
    t.post_processor = processors.TemplateProcessing("$A </s>", "$A </s> $B </s>", [("</s>", t.token_to_id("</s>"))])
    t.decoder = decoders.Metaspace()
    t.enable_truncation(10, direction="left")
    t.enable_padding(direction="left", pad_id=t.token_to_id("<pad>"), pad_token="<pad>")
    return t

rng = random.Random(7)
PARTS = ["feature", "Backbone", "HELLO", "don't", "it's", "3.14", "1,000", "x²", "ﬁne", "İstanbul", "ıI", "ß", "ẞ", "e\u0301", "é", "\u0301", "日本語", "中文字", "한국어",
  "ไทย", "हिन्दी", "עברית", "العربية", "\u202eabc\u202c", "\u200b", "\u200d", "\ufeff", "👩‍👩‍👧‍👦", "😀", "🏳️‍🌈", "🇩🇪", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2028", "\x00", "\x07", "\x1b[31m",
  "[CLS]", "[MASK]", "<s>", "</s>", "<mask>", "<pad>", "http://a.b/c?d=e&f", "user@example.org", "#tag", "…", "—", "«q»", "“q”", "(a)", "a_b", "a-b", "!!!", "?!", "$5", "€", "½", "Ⅳ",
  "𝕏", "𐍈", "\U0010ffff", "ǅ", "Σς", "ŉ", "K", "Å", "\u1e9b\u0323", "antidisestablishmentarianism", "a" * 60, "0123456789" * 3, "  ", " "]
strings = ["", " ", "a", *PARTS]
while len(strings) < 1000:
    strings.append(rng.choice(["", " "]).join(rng.choice(PARTS) for _ in range(rng.randint(1, 7))))

def digest(ids): return zlib.crc32(",".join(map(str, ids)).encode())

golden = {"strings": strings, "tokenizers": {}}
for name, make in (("wordpiece", wordpiece), ("bytebpe", bytebpe), ("unigram", unigram)):
    tokenizer = make()
    tokenizer.save(str(out / f"{name}.json"), pretty=False)
    batch = tokenizer.encode_batch(strings[:64])
    cut = [digest(e.ids + e.attention_mask) for e in batch]
    tokenizer.no_truncation(); tokenizer.no_padding()
    golden["tokenizers"][name] = {"ids": [digest(tokenizer.encode(s).ids) for s in strings], "batch": cut, "length": len(batch[0].ids)}
(out / "golden.json").write_text(json.dumps(golden) + "\n")
