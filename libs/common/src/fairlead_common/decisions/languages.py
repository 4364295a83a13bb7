"""Which language a prompt is in, by its script and its small words: fast, offline, and every reason can be read below.

A script that one language writes decides alone. Among languages of one script the one whose small words occur most
decides, when it has ``LEAST`` of them and more than any other. Code, numbers and names say nothing: the answer is ``und``.
"""

# ruff: noqa: RUF001 - words of many languages

import re
from collections import Counter
from typing import Final

UNDETERMINED: Final = "und"
MAX_CHARS: Final = 2000
"""Read from the front."""
LEAST: Final = 2
"""Small words."""
LEAST_SHARE: Final = 0.3
"""Of the letters that must be of a script for the script to decide."""

SCRIPTS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = tuple(
    (name, re.compile(f"[{letters}]"))
    for name, letters in (
        ("ja", "\u3040-\u30ff"),
        ("ko", "\uac00-\ud7af\u1100-\u11ff"),
        ("zh", "\u4e00-\u9fff\u3400-\u4dbf"),
        ("el", "\u0370-\u03ff"),
        ("he", "\u0590-\u05ff"),
        ("th", "\u0e00-\u0e7f"),
        ("hi", "\u0900-\u097f"),
        ("bn", "\u0980-\u09ff"),
        ("ta", "\u0b80-\u0bff"),
        ("arabic", "\u0600-\u06ff"),
        ("cyrillic", "\u0400-\u04ff"),
    )
)
JAPANESE_SHARE: Final = 0.1
"""Japanese mixes its own letters with Chinese ones."""
PERSIAN: Final = re.compile("[\u067e\u0686\u0698\u06af\u06cc\u06a9]")
UKRAINIAN: Final = re.compile("[\u0456\u0457\u0454\u0491]")
LETTER: Final = re.compile(r"[^\W\d_]")
WORD: Final = re.compile(r"[^\W\d_]+")

SMALL_WORDS: Final = {
    language: frozenset(words.split())
    for language, words in {
        "en": "the of and to is that for it with as was on are this be at you have what how not can which from",
        "de": "der die das und ist nicht ein eine zu den mit von auf für im dem sich wie was ich wir oder werden",
        "fr": "le la les des et est une un du que dans pour pas qui sur avec vous je il ce cette sont comment",
        "es": "el la los las de y es una un que en por con para no se del como más esta este cuál cómo qué",
        "it": "il lo gli di e è una un che per non con del della sono come più questo questa nel alla cosa",
        "pt": "o os as de e é uma um que em por com para não se do da como mais este esta no na você qual",
        "nl": "de het een en van is niet dat op te met voor zijn aan ik je wat hoe ook maar deze dit wordt",
        "sv": "och det att en ett är som på för inte med av den jag har vad hur från till om kan detta",
        "da": "og det at en et er som på for ikke med af den jeg har hvad hvordan fra til om kan dette de",
        "no": "og det at en et er som på for ikke med av den jeg har hva hvordan fra til om kan dette de",
        "fi": "ja on ei se että oli hän mitä miten kuin mutta tämä ovat voi sen joka kun niin myös mikä",
        "pl": "i w na nie z do to jest się że co jak dla od po jego czy który ale przez są tym jako",
        "cs": "a je v na se že to s z do co jak pro od po ale jako která který jsou by ve jeho není",
        "ro": "și în de la cu pe nu este un o care că din pentru ce sunt mai sau să cum aceasta",
        "hu": "a az és hogy nem egy is van ez meg de mi hogyan volt csak mint vagy lehet kell ezt",
        "tr": "ve bir bu da de için ne ile mi çok olarak var daha nasıl gibi değil ben sen olan",
        "id": "yang dan di ini itu dengan untuk tidak dari dalam pada adalah apa bagaimana saya ke akan atau",
        "vi": "là và của có không được cho một những các người này trong với để như thế nào tôi",
    }.items()
}


def language_of(prompt: str) -> str:
    """ISO 639-1 code, or ``und``."""
    text = prompt[:MAX_CHARS].lower()
    if not text.isascii() and (found := _by_script(text)) is not None:
        return found
    return _by_words(text)


def _by_script(text: str) -> str | None:
    letters = max(1, len(LETTER.findall(text)))
    shares = {name: len(pattern.findall(text)) / letters for name, pattern in SCRIPTS}
    if shares["ja"] >= JAPANESE_SHARE and shares["ja"] + shares["zh"] >= LEAST_SHARE:
        return "ja"
    best = max(shares, key=lambda name: shares[name])
    if shares[best] < LEAST_SHARE:
        return None
    if best == "arabic":
        return "fa" if PERSIAN.search(text) else "ar"
    if best == "cyrillic":
        return "uk" if UKRAINIAN.search(text) else "ru"
    return best


def _by_words(text: str) -> str:
    words = Counter(WORD.findall(text))
    found = {language: sum(words[word] for word in small) for language, small in SMALL_WORDS.items()}
    best = max(found, key=lambda language: found[language])
    tied = [language for language, count in found.items() if count == found[best]]
    return best if found[best] >= LEAST and len(tied) == 1 else UNDETERMINED
