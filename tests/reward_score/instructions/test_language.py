import pytest

from reward_score.instructions.language import identify, is_language, read_language, sample

TEXTS = {
    "en": "I WOULD LIKE TO SEE ALL OF THE WORLD",
    "es": "Me gusta mucho el café con leche por la mañana",
    "pt": "Eu gosto muito de café com leite e você não",
    "fr": "J'aime beaucoup le café au lait",
    "de": "Ich trinke morgens gern einen Kaffee",
    "it": "Mi piace molto il caffè con il latte",
    "pl": "Lubię kawę z mlekiem i to jest dobre",
    "vi": "Tôi rất thích cà phê với sữa và đường",
    "sw": "Ninapenda kahawa na maziwa kwa asubuhi",
    "fi": "Minä pidän kahvista ja se on hyvää",
    "nl": "Ik drink graag een kopje koffie met het ontbijt",
    "sv": "Jag dricker gärna kaffe med mjölk och det är gott",
    "tr": "Sabah için bir kahve çok güzel ve daha sıcak",
    "id": "Saya suka kopi dengan susu dan ini tidak pahit",
    "ru": "Я люблю кофе с молоком, это вкусно",
    "uk": "Я люблю каву з молоком і це смачно",
    "bg": "Аз обичам кафе с мляко и това е вкусно",
    "ar": "أنا أحب القهوة مع الحليب في الصباح",
    "fa": "من قهوه با شیر را در صبح دوست دارم",
    "ur": "مجھے صبح میں چائے پینا پسند ہے اور دودھ بھی",
    "hi": "मुझे सुबह में चाय पीना पसंद है और दूध भी",
    "mr": "मला सकाळी चहा आवडतो आणि ते चांगले आहे",
    "ne": "मलाई बिहान चिया मन पर्छ र यो राम्रो छ",
    "ja": "私は朝にコーヒーを飲みます",
    "zh": "我喜欢早上喝咖啡",
    "ko": "나는 아침에 커피를 마신다",
    "th": "ฉันชอบดื่มกาแฟ",
    "he": "אני אוהב קפה עם חלב",
    "bn": "আমি সকালে কফি পছন্দ করি",
    "pa": "ਮੈਨੂੰ ਕੌਫੀ ਪਸੰਦ ਹੈ",
    "gu": "મને કોફી ગમે છે",
    "ta": "எனக்கு காபி பிடிக்கும்",
    "te": "నాకు కాఫీ ఇష్టం",
    "kn": "ನನಗೆ ಕಾಫಿ ಇಷ್ಟ",
    "ml": "എനിക്ക് കാപ്പി ഇഷ്ടമാണ്",
}


@pytest.mark.parametrize("language", TEXTS)
def test_each_language_is_itself_and_no_other(language):
    assert identify(TEXTS[language]) == language
    assert [other for other in TEXTS if is_language(TEXTS[language], other)] == [language]
    assert is_language(sample(language), language)


@pytest.mark.parametrize("text", ["Berlin", "12345", "", "..."])
def test_without_common_words_a_text_is_in_no_language_but_english(text):
    assert not is_language(text, "de")
    assert is_language(text, "en") == (text == "Berlin")


def test_quoting_a_foreign_name_is_allowed():
    assert is_language("Der Film \"The Lord of the Rings\" ist sehr lang, und ich mag ihn nicht.", "de")


def test_a_long_foreign_paragraph_is_not():
    german = "Das ist ein langer Satz, und er ist auf Deutsch. " * 20
    assert is_language(german, "de")
    assert not is_language(german + "\n" + "This is in English and it is not what you asked for. " * 3, "de")


def test_codes():
    assert read_language("ZH-cn") == "zh"
    with pytest.raises(ValueError, match="nearest: 'de'"):
        read_language("deu")
