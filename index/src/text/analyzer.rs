//! How text becomes words. One segmentation for all, so that the same word has the same number in each of the four readings:
//!
//! | reading | `L'Entrecôtes d’Été` | `والكُتُب` |
//! | --- | --- | --- |
//! | exact: lower case | entrecôtes été | والكتب |
//! | folded: without accents | entrecotes ete | والكتب |
//! | stemmed: folded, without endings (English, careful Arabic) | entrecot ete | كتب |
//! | broad: folded, without endings (light French, eager Arabic) | entrecot ete | كتب |
//!
//! A menu mixes languages within a line, and nobody says which: every text is read in every way, and a question finds it in any.
//!
//! A change here changes what is in the index: raise [`REVISION`], and existing indexes are built anew.

use super::stem::{Eagerness, arabic, french};
use tantivy::tokenizer::{
    AsciiFoldingFilter, Language, LowerCaser, Stemmer, TextAnalyzer, Token, TokenFilter, TokenStream, Tokenizer, TokenizerManager,
};

const REVISION: u32 = 2;
/// Longer "words" are noise.
const WORD_BYTES_MAX: usize = 80;
/// French articles, pronouns and conjunctions before an apostrophe.
const ELISIONS: [&str; 14] = ["l", "d", "j", "m", "t", "s", "n", "c", "qu", "jusqu", "lorsqu", "puisqu", "quoiqu", "presqu"];

/// One of the four ways to read a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Exact,
    Folded,
    Stemmed,
    Broad,
}

/// A word of a text and where it stands there, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub text: String,
    pub from: usize,
    pub to: usize,
}

impl Reading {
    const ALL: [Self; 4] = [Self::Exact, Self::Folded, Self::Stemmed, Self::Broad];

    /// The name under which the schema refers to it; part of the schema on disk.
    pub(super) fn name(self) -> String {
        let reading = match self {
            Self::Exact => "exact",
            Self::Folded => "folded",
            Self::Stemmed => "stemmed",
            Self::Broad => "broad",
        };
        format!("medina.{reading}.{REVISION}")
    }

    fn analyzer(self) -> TextAnalyzer {
        let arabic = match self {
            Self::Exact | Self::Folded => None,
            Self::Stemmed => Some(Eagerness::Careful),
            Self::Broad => Some(Eagerness::Eager),
        };
        let words = TextAnalyzer::builder(Words { arabic }).filter(LowerCaser);
        match self {
            Self::Exact => words.build(),
            Self::Folded => words.filter(AsciiFoldingFilter).build(),
            Self::Stemmed => words.filter(AsciiFoldingFilter).filter(Stemmer::new(Language::English)).build(),
            Self::Broad => words.filter(AsciiFoldingFilter).filter(French).build(),
        }
    }

    /// The words of `text` in this reading.
    pub(super) fn words(self, text: &str) -> Vec<Word> {
        let mut words = Vec::new();
        let mut analyzer = self.analyzer();
        analyzer.token_stream(text).process(&mut |token| {
            words.push(Word { text: token.text.clone(), from: token.offset_from, to: token.offset_to });
        });
        words
    }
}

/// Makes the readings known to an index.
pub(super) fn register(tokenizers: &TokenizerManager) {
    for reading in Reading::ALL {
        tokenizers.register(&reading.name(), reading.analyzer());
    }
}

/// Cuts a text into words; accents that stand alone and Arabic vowel signs vanish, Arabic letters that are written for each other become one.
#[derive(Clone)]
struct Words {
    /// How its Arabic words are stemmed; the other languages are, once they are folded.
    arabic: Option<Eagerness>,
}

struct WordStream {
    words: std::vec::IntoIter<Token>,
    token: Token,
}

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream {
        let mut words: Vec<Token> = Vec::new();
        let mut rest = text.char_indices().peekable();
        while let Some((from, first)) = rest.next() {
            if !first.is_alphanumeric() {
                continue;
            }
            let mut to = from + first.len_utf8();
            while let Some((at, next)) = rest.next_if(|(_, c)| c.is_alphanumeric() || is_mark(*c) || is_apostrophe(*c)) {
                to = at + next.len_utf8();
            }
            let (from, to) = without_elision(text, from, to);
            let mut word: String = text[from..to].chars().filter_map(letter).collect();
            if let Some(eagerness) = self.arabic {
                word = arabic(&word, eagerness).to_owned();
            }
            if !word.is_empty() && word.len() <= WORD_BYTES_MAX {
                let position = words.len();
                words.push(Token { offset_from: from, offset_to: to, position, text: word, position_length: 1 });
            }
        }
        WordStream { words: words.into_iter(), token: Token::default() }
    }
}

impl TokenStream for WordStream {
    fn advance(&mut self) -> bool {
        self.words.next().map(|token| self.token = token).is_some()
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

/// French words without their endings.
#[derive(Clone)]
struct French;

#[derive(Clone)]
struct FrenchWords<T>(T);

struct FrenchStream<T>(T);

impl TokenFilter for French {
    type Tokenizer<T: Tokenizer> = FrenchWords<T>;

    fn transform<T: Tokenizer>(self, words: T) -> FrenchWords<T> {
        FrenchWords(words)
    }
}

impl<T: Tokenizer> Tokenizer for FrenchWords<T> {
    type TokenStream<'a> = FrenchStream<T::TokenStream<'a>>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Self::TokenStream<'a> {
        FrenchStream(self.0.token_stream(text))
    }
}

impl<T: TokenStream> TokenStream for FrenchStream<T> {
    fn advance(&mut self) -> bool {
        let has_more = self.0.advance();
        if has_more {
            let token = self.0.token_mut();
            token.text = french(&token.text);
        }
        has_more
    }

    fn token(&self) -> &Token {
        self.0.token()
    }

    fn token_mut(&mut self) -> &mut Token {
        self.0.token_mut()
    }
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '\u{2019}' | '\u{2bc}' | '\u{ff07}')
}

fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{64b}'..='\u{65f}' | '\u{670}')
}

/// The letter as it is indexed; `None` for what is not a letter of its own.
fn letter(c: char) -> Option<char> {
    match c {
        'أ' | 'إ' | 'آ' | 'ٱ' => Some('ا'),
        'ى' => Some('ي'),
        'ة' => Some('ه'),
        '\u{640}' => None, // the bar that stretches a word
        c if is_mark(c) || is_apostrophe(c) => None,
        c => Some(c),
    }
}

/// What remains of `l'huile` is `huile`, of `Mario's` and `dogs'` the owner; `O'Brien` stays one word.
fn without_elision(text: &str, from: usize, to: usize) -> (usize, usize) {
    let word = &text[from..to];
    let Some((at, apostrophe)) = word.char_indices().find(|(_, c)| is_apostrophe(*c)) else {
        return (from, to);
    };
    let (head, tail) = (&word[..at], &word[at + apostrophe.len_utf8()..]);
    let is_tail_empty = !tail.contains(|c: char| c.is_alphanumeric());
    if is_tail_empty || tail.eq_ignore_ascii_case("s") {
        (from, from + at)
    } else if ELISIONS.iter().any(|elision| elision.eq_ignore_ascii_case(head)) {
        without_elision(text, to - tail.len(), to)
    } else {
        (from, to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reading: Reading, text: &str, expected: &str) {
        let words: Vec<String> = reading.words(text).into_iter().map(|word| word.text).collect();
        assert_eq!(words.join(" "), expected, "{text} ({reading:?})");
    }

    #[test]
    fn words() {
        use Reading::{Broad, Exact, Folded, Stemmed};
        for (reading, text, expected) in [
            (Exact, "L'Entrecôte d’Été", "entrecôte été"),
            (Folded, "L'Entrecôte d’Été", "entrecote ete"),
            (Folded, "jusqu'à l'aujourd'hui", "a aujourdhui"),
            (Folded, "Mario's O'Brien dogs' 'quoted' rock'n'roll", "mario obrien dogs quoted rocknroll"),
            (Folded, "Crème bru\u{302}le\u{301}e, 7-Up & straße!", "creme brulee 7 up strasse"),
            (Folded, "''' - !?", ""),
            (Stemmed, "Pizzas, burgers and grilled sandwiches", "pizza burger and grill sandwich"),
            (Folded, "والكُتُب مـــطعم", "والكتب مطعم"),
            (Stemmed, "والكُتُب كتب الكتب", "كتب كتب كتب"),
            (Stemmed, "مطاعم المطاعم قهوة وقهوة", "مطاعم مطاعم قهو قهو"),
            (Folded, "日本 寿司", "日本 寿司"),
            (Broad, "L'Huile d’olive, jusqu'aux Chevaux grillés", "huil oliv aux cheval gril"),
            (Broad, "بدجاج والكُتُب", "دجاج كتب"),
        ] {
            check(reading, text, expected);
        }
    }

    /// Queries are matched word by word across readings.
    #[test]
    fn readings_agree_on_the_words() {
        for text in ["L'Été à Œuf ＡＢＣ ﬁn", "ال و ل'", "ــ a ــ b", "İstanbul ǅ ß", "x'y'z ''a'' qu'"] {
            let spans = |reading: Reading| reading.words(text).into_iter().map(|word| (word.from, word.to)).collect::<Vec<_>>();
            assert_eq!(spans(Reading::Exact), spans(Reading::Folded), "{text}");
            assert_eq!(spans(Reading::Exact), spans(Reading::Stemmed), "{text}");
            assert_eq!(spans(Reading::Exact), spans(Reading::Broad), "{text}");
        }
    }
}
