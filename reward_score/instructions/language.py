"""Which language a text is in, by its script and by its most frequent words: no model, no randomness.

Limits: a text without any of its language's common words (a name, a single noun) is in none of them, except that such a
text in Latin letters passes for English. The 30 languages of IFEval, and five more to tell them from.
"""

import difflib
import string
from collections import Counter
from typing import NewType

from reward_score.instructions.text import paragraphs

LanguageCode = NewType("LanguageCode", str)

_SCRIPTS = {  # first and last code point
    "latin": [(0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F), (0x1E00, 0x1EFF)],
    "cyrillic": [(0x400, 0x52F)],
    "arabic": [(0x620, 0x64A), (0x66E, 0x6FF)],
    "devanagari": [(0x900, 0x963), (0x970, 0x97F)],
    "kana": [(0x3041, 0x30FA)],
    "han": [(0x3400, 0x9FFF)],
    "he": [(0x5D0, 0x5EA)],
    "bn": [(0x980, 0x9FF)],
    "pa": [(0xA00, 0xA7F)],
    "gu": [(0xA80, 0xAFF)],
    "ta": [(0xB80, 0xBFF)],
    "te": [(0xC00, 0xC7F)],
    "kn": [(0xC80, 0xCFF)],
    "ml": [(0xD00, 0xD7F)],
    "th": [(0xE01, 0xE5B)],
    "ko": [(0x1100, 0x11FF), (0xAC00, 0xD7A3)],
}

_COMMON = {
    "latin": {
        "en": "the of and to in is that it for you was with on as are this be have not by at or but they we what which "
              "will can your my if so do from an his her has there their would i he she its more when how all about",
        "es":
            "de la que el en los se del las un por con no una su para es al lo como más pero sus le ya este sí porque "
            "esta entre cuando muy sin sobre también me hasta hay donde y o ha son fue está nos yo te mi",
        "pt": "de que e o a da em um para é com não uma os no se na por mais as dos como mas foi ao ele das à seu sua "
              "ou ser quando muito há nos já está eu também só pelo pela até isso são do você me te minha",
        "fr": "de la le et les des en un une du est que dans qui pour par sur pas au avec ce il sont plus ne se nous "
              "vous mais ou cette aux été à je elle son sa ses leur y ont comme on très c'est l'on j'ai",
        "de": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus "
              "er hat dass sie nach wird bei einer um am sind noch wie ich wir so oder aber war du mein einen",
        "it": "di che e la il un a per è una in non con si da le dei del della sono come anche lo gli ma più alla nel "
              "questo al i ha se mi molto essere ci ti delle nella quando io o tutto",
        "pl": "w i na z do się nie to że jest o jak po co dla ale od przez są tego za by ten może tak czy jej jego "
              "który oraz a jako lub tym być ich bardzo",
        "vi": "là của và có không được trong cho một với người những các này đã khi để từ như cũng về tôi bạn rất ở "
              "thì mà nhưng nhiều hơn nó đó sẽ",
        "sw": "na ya wa kwa ni katika la za cha kuwa hii hiyo kama si au lakini pia yake wake sana watu huu zaidi vya "
              "yangu mimi wewe kila hivyo",
        "fi": "ja on ei se että oli hän olla mutta ovat kun myös kuin tai ole joka sen mitä jos niin sitä hänen tämä "
              "voi minä me sinä hyvin ne olen",
        "nl": "het een van en dat op te zijn met voor niet aan er ook maar bij uit naar dan nog wel deze ik je wat",
        "sv": "och att det en som på är för med av den till inte har ett men var jag från kan vi du",
        "tr": "ve bir bu için ile daha çok olarak gibi olan ama ne kadar değil sonra her ben",
        "id": "yang dan dengan untuk dari ini itu adalah tidak dalam pada akan ke atau juga saya bisa karena kami",
    },
    "cyrillic": {
        "ru": "и в не на что он с я как это по но к у за из от так же для есть все был её они мы вы или его только "
              "очень когда который",
        "uk": "і в не на що з я як це та у до за по але від для є й про він бути його вони ми ви або дуже коли який",
        "bg": "и в на да се не за от че са е по с който това като но ще си при или той аз ние те много са когато",
    },
    "arabic": {
        "ar": "في من على أن إلى هذا التي ما لا هو مع كان أو ذلك عن هي هذه كل قد الذي إن لم أنا كما",
        "fa": "و در به از که این را با است برای آن یک تا می بر هم شما خود ها من بود دارد",
        "ur": "کے میں ہے کی اور سے کا کو ہیں پر یہ کہ ایک نے نہیں بھی کر ہو لیے تھا وہ",
    },
    "devanagari": {
        "hi": "है के में की और का से को हैं पर यह कि एक ने नहीं भी कर हो लिए था वह मैं",
        "mr": "आहे आणि या आहेत मी ते हे तो ती नाही एक होते होता आपण साठी असे केले मध्ये आणि तर",
        "ne": "छ र हो छन् पनि एक गर्न भने यो गरेको हुन् तपाईं हामी थियो म छैन लागि गर्छ धेरै",
    },
}
_COMMON_WORDS = {
    script: {
        language: frozenset(text.split()) for language, text in languages.items()
    } for script, languages in _COMMON.items()
}
_LANGUAGES = {"ja", "zh"}.union((name for name in _SCRIPTS if len(name) == 2), *_COMMON_WORDS.values())
_EDGES = string.punctuation + ("\u0964\u060c\u061f\u061b\u00bf\u00a1\u00ab\u00bb"
                               "\u201c\u201d\u201e\u2018\u2019\u2026\u2013\u2014")

_MIN_SCRIPT_SHARE = 0.6
_MIN_KANA_SHARE = 0.05  # Japanese mixes kana into Chinese characters
_MIN_COMMON_SHARE = 0.06  # of the words; ordinary prose has 0.2 to 0.5
_LONG_PART = 25  # words from which a paragraph or line is judged on its own


def read_language(value: object) -> LanguageCode:
    """Checks an ISO 639-1 code; `zh-cn` is `zh`.

    Raises:
        ValueError: a language that is not known here; the message names the nearest.
    """
    code = str(value).strip().lower().split("-")[0]
    if code not in _LANGUAGES:
        nearest = difflib.get_close_matches(code, sorted(_LANGUAGES), n=1, cutoff=0.0)[0]
        raise ValueError(f"is none of {sorted(_LANGUAGES)} (nearest: {nearest!r}); a new one goes to "
                         "reward_score/instructions/language.py")
    return LanguageCode(code)


def is_language(text: str, language: LanguageCode) -> bool:
    """True if the text as a whole is in `language`, and none of its longer paragraphs and lines in another one."""
    found = identify(text)
    if found != language and (language, found) != ("en", "latin"):
        return False
    long_parts = [part for part in {*paragraphs(text), *text.splitlines()} if len(part.split()) >= _LONG_PART]
    return all(identify(part) in (language, "latin", None) for part in long_parts)


def sample(language: LanguageCode) -> str:
    """Some words that `is_language` takes for the language."""
    for languages in _COMMON.values():
        if language in languages:
            return " ".join(languages[language].split()[:12])
    script = {"ja": "kana", "zh": "han"}.get(language, language)
    return chr(_SCRIPTS[script][0][0] + 5) * 3


def identify(text: str) -> str | None:
    """The language of a text; "latin" for Latin letters without common words of any language; None if undecided."""
    script = _script(text)
    if script not in _COMMON_WORDS:
        return script
    counts = Counter(word.strip(_EDGES) for word in text.lower().replace("\u2019", "'").split())
    hits = {name: sum(counts[word] for word in known) for name, known in _COMMON_WORDS[script].items()}
    best = max(hits, key=hits.__getitem__)
    if hits[best] and hits[best] >= _MIN_COMMON_SHARE * sum(counts.values()):
        return best
    return "latin" if script == "latin" else None


def _script(text: str) -> str | None:
    """The script of most letters, or the one language that is written in it."""
    sizes = dict.fromkeys(_SCRIPTS, 0)
    for letter, count in Counter(text).items():
        for script, ranges in _SCRIPTS.items():
            sizes[script] += count * any(first <= ord(letter) <= last for first, last in ranges)
    total = sum(sizes.values())
    east = sizes.pop("kana"), sizes.pop("han")
    if total and sum(east) >= _MIN_SCRIPT_SHARE * total:
        return "ja" if east[0] >= _MIN_KANA_SHARE * sum(east) else "zh"
    largest = max(sizes, key=sizes.__getitem__)
    return largest if total and sizes[largest] >= _MIN_SCRIPT_SHARE * total else None
