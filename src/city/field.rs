//! What may stand in a field, and the refusal that names the field.

/// A field that holds what it may not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {detail}")]
pub struct Invalid {
    /// JSON pointer into the body.
    pub pointer: String,
    /// Stable slug.
    pub code: &'static str,
    pub detail: String,
}

impl Invalid {
    /// A field, what is wrong with it as a slug, and in words.
    pub fn new(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code, detail: detail.into() }
    }

    /// A field that cannot be left out or cleared.
    pub fn required(pointer: impl Into<String>) -> Self {
        Self::new(pointer, "required", "must have a value")
    }
}

/// One line of text for people: trimmed, not empty, at most `chars_max` characters, no control characters.
///
/// # Errors
/// [`Invalid`], at `pointer`.
pub fn line(pointer: &str, text: &str, chars_max: usize) -> Result<String, Invalid> {
    if text.chars().any(char::is_control) {
        return Err(Invalid::new(pointer, "control_character", "one line without control characters"));
    }
    bounded(pointer, text, chars_max)
}

/// Some lines of text for people: trimmed, not empty, at most `chars_max` characters; of control characters only the line feed.
///
/// # Errors
/// [`Invalid`], at `pointer`.
pub fn prose(pointer: &str, text: &str, chars_max: usize) -> Result<String, Invalid> {
    if text.chars().any(|letter| letter.is_control() && letter != '\n') {
        return Err(Invalid::new(pointer, "control_character", "text without control characters, but line feeds"));
    }
    bounded(pointer, text, chars_max)
}

fn bounded(pointer: &str, text: &str, chars_max: usize) -> Result<String, Invalid> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err(Invalid::required(pointer)),
        count if count > chars_max => Err(Invalid::new(pointer, "too_long", format!("at most {chars_max} characters"))),
        _ => Ok(text.to_owned()),
    }
}

/// A few different words, in the order given: each as [`line`], lower case, without repeats.
///
/// # Errors
/// [`Invalid`], at the word or at the list.
pub fn words(pointer: &str, words: &[String], count_max: usize, chars_max: usize) -> Result<Vec<String>, Invalid> {
    if words.len() > count_max {
        return Err(Invalid::new(pointer, "too_many", format!("at most {count_max}")));
    }
    let mut kept: Vec<String> = Vec::with_capacity(words.len());
    for (n, word) in words.iter().enumerate() {
        let word = line(&format!("{pointer}/{n}"), word, chars_max)?.to_lowercase();
        if !kept.contains(&word) {
            kept.push(word);
        }
    }
    Ok(kept)
}

/// A number within a range.
///
/// # Errors
/// [`Invalid`], at `pointer`.
pub fn within<T: PartialOrd + std::fmt::Display + Copy>(
    pointer: &str,
    number: T,
    range: std::ops::RangeInclusive<T>,
) -> Result<T, Invalid> {
    if range.contains(&number) {
        Ok(number)
    } else {
        Err(Invalid::new(pointer, "out_of_range", format!("{} to {}", range.start(), range.end())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let cases = [
            ("  Mama's Kitchen ", Ok("Mama's Kitchen")),
            ("مطبخ", Ok("مطبخ")),
            ("", Err("required")),
            (" \u{a0} ", Err("required")),
            ("a\nb", Err("control_character")),
            ("a\u{0}b", Err("control_character")),
            ("123456789012345", Err("too_long")),
            ("12345678901234", Ok("12345678901234")),
        ];
        for (text, expected) in cases {
            let found = line("/name", text, 14);
            assert_eq!(found.as_deref().map_err(|invalid| invalid.code), expected, "{text:?}");
        }
        assert_eq!(prose("/d", "a\nb", 9).as_deref(), Ok("a\nb"));
        assert_eq!(prose("/d", "a\tb", 9).map_err(|invalid| invalid.code), Err("control_character"));
    }

    #[test]
    fn words_are_folded_and_counted() {
        let list = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(words("/tags", &list(&["Spicy", "spicy", "Vegan "]), 3, 10), Ok(list(&["spicy", "vegan"])));
        assert_eq!(words("/tags", &list(&["a", "b"]), 1, 10).map_err(|invalid| invalid.code), Err("too_many"));
        assert_eq!(words("/tags", &list(&["a", " "]), 2, 10).map_err(|invalid| invalid.pointer), Err("/tags/1".to_owned()));
    }
}
