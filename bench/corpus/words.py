"""The words, alphabets and shares that the text of a corpus is drawn from."""

from __future__ import annotations

from collections.abc import Callable

COMMON = {
    "en": (
        "the to of and a in is that it for you with on as be this are can or not by your if have "
        "an from at will we which use when data there one using but all has more so they how "
        "what code like would file value should function each any time need also I was these "
        "into may list only then model their some than other its error new set user my name "
        "about make example number two where test while system get first between different how "
        "import server run line type add return work want problem result key text question"
    ).split(),
    "zh": list("的一是不了人我在有他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后"),
    "ja": list("のにはをたがでてとしれさあるいもすかなこくらんけどまりつよみ日本人大会社国中一年上事者生時言気今"),
    "ar": "في من على أن إلى هذا التي كان عن مع ما هو لا بعد كل قد أو بين ذلك عند".split(),
    "he": "של את על לא הוא זה עם כי גם אני מה אבל או היא כל יש אם רק יותר כמו".split(),
    "ru": "и в не на я быть с что он как это по но они к у из за так от для можно код".split(),
}
ALPHABETS = {
    "ar": "ابتثجحخدذرزسشصضطظعغفقكلمنهوي",
    "he": "אבגדהוזחטיכלמנסעפצקרשת",
    "ru": "абвгдежзийклмнопрстуфхцчшщыэюя",
}
DENSE = frozenset({"zh", "ja"})  # written without spaces
SYLLABLES = (
    "ka lo mi ter sen pra con vel dor ist ra nu tion al be gro fin mar ex tal or pin su der "
    "com ple ver sta lin quo ber ing est rad tri mon fla ge os ul cy ne"
).split()
EMOJI = "😀 🎉 🚀 👍🏽 👩‍💻 👨‍👩‍👧‍👦 🇪🇺 🏳️‍🌈 ❤️ 🤔 ✅ 🐍 📦 🧪 é ñ ü ï Å".split()
LANGUAGES = (  # (cumulative share, language, emoji-heavy)
    (0.83, "en", False),
    (0.88, "en", True),
    (0.91, "zh", False),
    (0.93, "ja", False),
    (0.95, "ar", False),
    (0.96, "he", False),
    (1.00, "ru", False),
)
HOSTILE_TITLES = (
    "CON",
    "..",
    "a/b\\c: d?",
    "x" * 300,
    ' "quoted" <tag> & more ',
    "tab\there",
    "ends.",
)

# One line of code in each language, of two invented names and a number.
CODE_LINES: dict[str, Callable[[str, str, int], str]] = {
    "python": lambda name, other, k: f'    {name}_{k} = {other}.get("{name}", {k}) or "it\'s {k}"',
    "javascript": lambda name, other, k: f'  const {name}{k} = await {other}(`/api/${{{k}}}`, "{name}");',
    "bash": lambda name, other, k: f"grep -rn '{name}' ./{other} | awk '{{print ${k % 9}}}' > out_{k}.txt",
    "sql": lambda name, other, k: f"SELECT {name}, COUNT(*) FROM {other} WHERE id > {k} GROUP BY 1;",
    "json": lambda name, other, k: f'  "{name}_{k}": {{"{other}": [{k}, null, true]}},',
    "rust": lambda name, other, k: f'    let {name}_{k}: Vec<&str> = {other}.iter().map(|x| x["\\n"]).collect();',
    "": lambda name, other, k: f"\t{name}\t{k}\t<{other}> & \\{k}",
}
