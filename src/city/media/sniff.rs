//! What bytes are, by their first few; what the client says about them does not count.

use serde::{Deserialize, Serialize};

/// Formats that are taken. The order is stored: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    Jpeg,
    Png,
    Webp,
}

impl Format {
    /// The format, if it is one that is taken.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xFF, 0xD8, 0xFF, _, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', 0, 0, 0, 13, b'I', b'H', b'D', b'R', ..] => Some(Self::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', b'V', b'P', b'8', ..] => Some(Self::Webp),
            _ => None,
        }
    }

    /// Its media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_the_first_bytes() {
        let cases: [(&[u8], Option<Format>); 10] = [
            (b"\xFF\xD8\xFF\xE0\0\x10JFIF", Some(Format::Jpeg)),
            (b"\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR\0\0\0\x01", Some(Format::Png)),
            (b"RIFF\x24\0\0\0WEBPVP8L", Some(Format::Webp)),
            (b"", None),
            (b"\xFF\xD8", None),
            (b"GIF89a", None),
            (b"RIFF\x24\0\0\0WAVEfmt ", None),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", None),
            (b"<html>\xFF\xD8\xFF\xE0", None),
            (b"\x89PNG\n\x1A\n", None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Format::of(bytes), expected, "{bytes:?}");
        }
    }
}
