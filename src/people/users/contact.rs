//! Phones and e-mail addresses, as they are compared: one spelling each.

use std::fmt;
use std::str::FromStr;

/// A phone number in E.164: `+`, then 7 to 15 digits, the first not 0.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Phone(String);

/// An e-mail address in lower case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

/// Neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAContact {
    #[error("a phone number in the form +233241234567")]
    Phone,
    #[error("an e-mail address in the form ama@example.org")]
    Email,
}

impl Phone {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The country's calling code, without `+`.
    #[must_use]
    pub fn prefix(&self) -> Prefix<'_> {
        let digits = &self.0[1..];
        // Source: ITU-T E.164 assigned country codes: zones 1 and 7 have one digit, these have two, all others three.
        const TWO: [&str; 44] = [
            "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47", "48", "49", "51", "52", "53",
            "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65", "66", "81", "82", "84", "86", "90", "91", "92", "93", "94",
            "95", "98",
        ];
        let length = match digits.as_bytes()[0] {
            b'1' | b'7' => 1,
            _ if TWO.contains(&&digits[..2]) => 2,
            _ => 3,
        };
        Prefix(&digits[..length])
    }
}

/// A calling code such as `233`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix<'p>(pub &'p str);

impl FromStr for Phone {
    type Err = NotAContact;

    fn from_str(text: &str) -> Result<Self, NotAContact> {
        let digits = text.strip_prefix('+').ok_or(NotAContact::Phone)?;
        let is_number = (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
        is_number.then(|| Self(text.to_owned())).ok_or(NotAContact::Phone)
    }
}

impl Email {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = NotAContact;

    /// Takes the addresses that people have, not all that RFC 5321 could form: no quotes, no comments, no address literals. The whole is folded to
    /// lower case, so that nobody has two accounts by accident.
    fn from_str(text: &str) -> Result<Self, NotAContact> {
        let text = text.trim().to_lowercase();
        let (local, domain) = text.rsplit_once('@').ok_or(NotAContact::Email)?;
        let local_fits = (1..=64).contains(&local.len())
            && !local.chars().any(|c| c.is_whitespace() || c.is_control() || "\"(),:;<>@[\\]".contains(c))
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..");
        let label_fits = |label: &str| {
            (1..=63).contains(&label.len())
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let domain_fits = domain.contains('.') && domain.split('.').all(label_fits);
        (local_fits && domain_fits && text.len() <= 254).then_some(Self(text)).ok_or(NotAContact::Email)
    }
}

// Not in logs by accident.
impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Phone(+{}…)", self.prefix().0)
    }
}
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones() {
        let cases = [
            ("+233241234567", Some("233")),
            ("+12025550123", Some("1")),
            ("+79261234567", Some("7")),
            ("+4915112345678", Some("49")),
            ("+21261234567", Some("212")),
            ("233241234567", None),
            ("+0233241234567", None),
            ("+23324", None),
            ("+1234567890123456", None),
            ("+23324 123 4567", None),
            ("+233241٣34567", None),
            ("", None),
        ];
        for (text, prefix) in cases {
            assert_eq!(text.parse::<Phone>().ok().map(|phone| phone.prefix().0.to_owned()).as_deref(), prefix, "{text}");
        }
    }

    #[test]
    fn emails() {
        let cases = [
            ("Ama.Mensah@Example.ORG", Some("ama.mensah@example.org")),
            (" ama+shop@mail.example.org ", Some("ama+shop@mail.example.org")),
            ("ama@example", None),
            ("@example.org", None),
            ("ama@", None),
            ("ama@exa mple.org", None),
            ("a b@example.org", None),
            ("ama..x@example.org", None),
            ("ama@-example.org", None),
            ("ama@b@example.org", None),
            ("ama@example..org", None),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Email>().ok().as_ref().map(Email::as_str), expected, "{text}");
        }
    }
}
