"""The language of a prompt."""

# ruff: noqa: RUF001 - prompts in many languages

import pytest
from fairlead_common.decisions.languages import SMALL_WORDS, UNDETERMINED, language_of
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("prompt", "language"),
    [
        ("How do I compare the latency of two providers?", "en"),
        ("Wie vergleiche ich die Latenz von zwei Anbietern, und was ist das?", "de"),
        ("Comment puis-je comparer la latence de deux fournisseurs dans une région ?", "fr"),
        ("¿Cómo comparo la latencia de los dos proveedores que más uso?", "es"),
        ("Come posso confrontare la latenza di due fornitori che non sono nella stessa regione?", "it"),
        ("Como é que posso comparar os dois fornecedores em uma região?", "pt"),
        ("Hoe vergelijk ik de latentie van twee aanbieders en wat is het verschil?", "nl"),
        ("Hur jämför jag två leverantörer och vad är det som skiljer?", "sv"),
        ("Hvordan sammenligner jeg to udbydere, og hvad er forskellen af dette?", "da"),
        ("Hva er forskjellen, og hvordan kan jeg måle den?", "no"),
        ("Miten vertaan kahta tarjoajaa ja mikä on ero?", "fi"),
        ("Jak porównać dwóch dostawców i co to jest opóźnienie?", "pl"),
        ("Jak porovnám dva dodavatele a co je to latence, která se měří?", "cs"),
        ("Cum pot să compar doi furnizori și ce este latența?", "ro"),
        ("Hogyan lehet a két szolgáltatót összehasonlítani, és mi az a késleltetés?", "hu"),
        ("İki sağlayıcıyı nasıl karşılaştırırım ve bu gecikme ne kadar çok?", "tr"),
        ("Bagaimana saya membandingkan dua penyedia yang ada di wilayah ini?", "id"),
        ("Làm thế nào để so sánh hai nhà cung cấp trong một vùng và các khác biệt là gì?", "vi"),
        ("Как сравнить задержку двух поставщиков?", "ru"),
        ("Як порівняти затримку двох постачальників і що це?", "uk"),
        ("如何比较两个供应商的延迟？", "zh"),
        ("二つのプロバイダーの遅延を比較する方法は？", "ja"),
        ("두 공급자의 지연 시간을 어떻게 비교합니까?", "ko"),
        ("كيف أقارن زمن الاستجابة بين مزودين؟", "ar"),
        ("چگونه تأخیر دو ارائه‌دهنده را مقایسه کنم؟", "fa"),
        ("Πώς συγκρίνω δύο παρόχους;", "el"),
        ("दो प्रदाताओं की तुलना कैसे करें?", "hi"),
        ("def f(x): return x ** 2", UNDETERMINED),
        ("12 + 30 = ?", UNDETERMINED),
        ("", UNDETERMINED),
    ],
)
def test_script_and_small_words_tell_the_language(prompt: str, language: str) -> None:
    assert language_of(prompt) == language


def test_an_english_prompt_about_a_chinese_word_is_english() -> None:
    assert language_of("What is the meaning of the word 供应商, and how is it pronounced?") == "en"


@given(st.text(max_size=400))
def test_every_prompt_has_a_language_or_none(prompt: str) -> None:
    assert len(language_of(prompt)) == (3 if language_of(prompt) == UNDETERMINED else 2)


@given(st.sampled_from(sorted(SMALL_WORDS)), st.integers(1, 200))
def test_more_of_the_same_changes_nothing(language: str, times: int) -> None:
    prompt = " ".join(sorted(SMALL_WORDS[language]))
    assert language_of(f"{prompt} " * times) == language_of(prompt)
