//! What must not be found, in all its forms: text as UTF-8 and UTF-16; lists of numbers as integers and floats of every
//! width, in both byte orders, and in decimals; residues as words and packed as ciphertexts are; bits of keys; and each of
//! these once more in hexadecimal and Base64.

use std::{collections::BTreeSet, fmt};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use tiresias_keys::bits::pack;

/// A pattern of fewer bytes would be found by chance.
pub const SHORTEST: usize = 8;

/// Numbers of a list that are looked for together: a copy of a part of the list is found too.
pub const WINDOW: usize = 16;

/// Different numbers that such a part has at least: one of zeros alone is everywhere.
const DIFFERENT: usize = 8;

/// Digits of a single number that are looked for.
const DIGITS: usize = 11;

/// Bytes of packed bits that are looked for together.
const KEY_WINDOW: usize = 16;

/// What is looked for. `Debug` shows how many patterns there are and none of them.
#[derive(Default)]
pub struct Canaries {
    patterns: Vec<Pattern>,
}

/// One form of a canary, or of a part of it.
pub(super) struct Pattern {
    /// What it is of.
    pub(super) what: String,
    /// In which form.
    pub(super) form: String,
    pub(super) bytes: Vec<u8>,
}

/// A canary that would be found where it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a canary needs 8 bytes of text, 16 numbers of which 8 are different, or 16 bytes of a key")]
pub struct TooCommon;

impl Canaries {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A name or an identifier.
    pub fn text(&mut self, what: &str, text: &str) -> Result<(), TooCommon> {
        if text.len() < SHORTEST {
            return Err(TooCommon);
        }
        let wide = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect();
        self.add(what, "UTF-8", text.as_bytes().to_vec());
        self.add(what, "UTF-16, little endian", wide(u16::to_le_bytes));
        self.add(what, "UTF-16, big endian", wide(u16::to_be_bytes));
        Ok(())
    }

    /// Numbers of a scan, or its features.
    pub fn floats(&mut self, what: &str, values: &[f64]) -> Result<(), TooCommon> {
        for window in windows(values, |value| value.to_bits())? {
            let narrow: Vec<f32> = window.iter().map(|value| *value as f32).collect();
            self.orders(what, "f64", window, |value| value.to_le_bytes());
            self.orders(what, "f32", &narrow, |value| value.to_le_bytes());
            self.decimals(what, "decimals of f64", window);
            self.decimals(what, "decimals of f32", &narrow);
        }
        Ok(())
    }

    /// One number with all its digits, such as a single feature. One of few digits is refused.
    pub fn number(&mut self, what: &str, value: f64) -> Result<(), TooCommon> {
        let digits = format!("{:e}", value.abs());
        if !value.is_normal() || digits.find('e').is_none_or(|end| end < 2 * DIGITS - 7) {
            return Err(TooCommon);
        }
        self.orders(what, "one f64", &[value], |value| value.to_le_bytes());
        for (form, text) in [("plain", format!("{}", value.abs())), ("scientific", digits)] {
            // However many digits are written, and however the last is rounded.
            let nonzero = text.find(|c: char| c.is_ascii_digit() && c != '0').unwrap_or_default();
            let end = nonzero + DIGITS + usize::from(text.get(nonzero..).is_some_and(|t| t.contains('.')));
            let first = text.get(..end).ok_or(TooCommon)?;
            self.add(what, &format!("one number in {form} notation"), first.as_bytes().to_vec());
        }
        Ok(())
    }

    /// Integers: pixels as they are stored, or quantized features.
    pub fn integers(&mut self, what: &str, values: &[i64]) -> Result<(), TooCommon> {
        for window in windows(values, |value| *value)? {
            let fits = |least: i64, most: i64| window.iter().all(|value| (least..=most).contains(value));
            if fits(i8::MIN.into(), u8::MAX.into()) {
                self.add(what, "8 bits", window.iter().map(|value| *value as u8).collect());
            }
            if fits(i16::MIN.into(), u16::MAX.into()) {
                self.orders(what, "16 bits", window, |value| (value as i16).to_le_bytes());
            }
            if fits(i32::MIN.into(), u32::MAX.into()) {
                self.orders(what, "32 bits", window, |value| (value as i32).to_le_bytes());
            }
            self.orders(what, "64 bits", window, |value| value.to_le_bytes());
            self.orders(what, "integers as f32", window, |value| (value as f32).to_le_bytes());
            self.orders(what, "integers as f64", window, |value| (value as f64).to_le_bytes());
            self.decimals(what, "decimals", window);
        }
        Ok(())
    }

    /// A plaintext before its encryption: numbers modulo a prime of `width` bits.
    pub fn residues(&mut self, what: &str, values: &[u64], width: u32) -> Result<(), TooCommon> {
        for window in windows(values, |value| *value)? {
            let mut packed = Vec::new();
            pack(window, width, &mut packed);
            self.add(what, "residues, packed", packed);
            self.orders(what, "residues of 64 bits", window, |value| value.to_le_bytes());
            self.decimals(what, "decimals of residues", window);
        }
        Ok(())
    }

    /// Bits of a secret key, the first of them the lowest of its byte.
    pub fn key(&mut self, what: &str, packed: &[u8]) -> Result<(), TooCommon> {
        let windows = packed.chunks_exact(KEY_WINDOW);
        let windows: Vec<&[u8]> = windows.filter(|window| different(window, |byte| *byte)).collect();
        if windows.is_empty() {
            return Err(TooCommon);
        }
        for window in windows {
            let bits = window.iter().flat_map(|byte| (0..8).map(move |at| byte >> at & 1));
            let bits: Vec<u8> = bits.collect();
            self.add(what, "key bits, packed", window.to_vec());
            self.add(
                what,
                "key bits, packed from the top",
                window.iter().map(|b| b.reverse_bits()).collect(),
            );
            self.orders(what, "key bits as words", &bits, |bit| u64::from(bit).to_le_bytes());
            self.orders(what, "key bits as 32-bit words", &bits, |bit| u32::from(bit).to_le_bytes());
            self.add(what, "key bits as bytes", bits);
        }
        Ok(())
    }

    /// How many patterns there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.patterns.len()
    }

    pub(super) fn into_patterns(self) -> Vec<Pattern> {
        self.patterns
    }

    fn orders<T: Copy, const N: usize>(
        &mut self,
        what: &str,
        form: &str,
        values: &[T],
        little: fn(T) -> [u8; N],
    ) {
        let big = |value: &T| {
            let mut bytes = little(*value);
            bytes.reverse();
            bytes
        };
        let little = values.iter().flat_map(|value| little(*value)).collect();
        self.add(what, &format!("{form}, little endian"), little);
        self.add(what, &format!("{form}, big endian"), values.iter().flat_map(big).collect());
    }

    /// As JSON, CSV and Python write lists.
    fn decimals<T: fmt::Debug>(&mut self, what: &str, form: &str, values: &[T]) {
        let texts: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
        self.add(what, &format!("{form}, with commas"), texts.join(",").into_bytes());
        self.add(what, &format!("{form}, with commas and spaces"), texts.join(", ").into_bytes());
    }

    /// These bytes, and the texts that they may stand in.
    fn add(&mut self, what: &str, form: &str, bytes: Vec<u8>) {
        debug_assert!(bytes.len() >= SHORTEST);
        let mut put = |form: String, bytes: Vec<u8>| {
            self.patterns.push(Pattern { what: what.to_owned(), form, bytes });
        };
        put(format!("{form}, in hexadecimal"), hex::encode(&bytes).into_bytes());
        put(format!("{form}, in upper-case hexadecimal"), hex::encode_upper(&bytes).into_bytes());
        // Base64 takes three bytes at a time: what comes before decides with which byte of ours a group begins.
        for start in 0..3 {
            let whole = &bytes[start..];
            let whole = &whole[..whole.len() / 3 * 3];
            let (standard, url) = (STANDARD_NO_PAD.encode(whole), URL_SAFE_NO_PAD.encode(whole));
            if url != standard {
                put(format!("{form}, in URL-safe Base64 from byte {start}"), url.into_bytes());
            }
            put(format!("{form}, in Base64 from byte {start}"), standard.into_bytes());
        }
        put(form.to_owned(), bytes);
    }
}

impl fmt::Debug for Canaries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Canaries({})", self.patterns.len())
    }
}

/// The parts of a list that are looked for.
fn windows<T, K: Ord>(values: &[T], key: fn(&T) -> K) -> Result<Vec<&[T]>, TooCommon> {
    let windows: Vec<&[T]> = values.chunks_exact(WINDOW).filter(|window| different(window, key)).collect();
    if windows.is_empty() { Err(TooCommon) } else { Ok(windows) }
}

fn different<T, K: Ord>(values: &[T], key: impl Fn(&T) -> K) -> bool {
    values.iter().map(key).collect::<BTreeSet<K>>().len() >= DIFFERENT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Search;

    /// The forms under which `bytes` show the canaries.
    fn forms(canaries: Canaries, bytes: &[u8]) -> Vec<String> {
        let search = Search::new(canaries);
        let found = search.bytes(bytes);
        found.hits().map(|(_, form)| form.to_owned()).collect()
    }

    fn of(fill: impl FnOnce(&mut Canaries) -> Result<(), TooCommon>) -> Canaries {
        let mut canaries = Canaries::new();
        fill(&mut canaries).unwrap();
        canaries
    }

    #[test]
    fn what_is_common_is_refused() {
        let mut canaries = Canaries::new();
        assert_eq!(canaries.text("name", "Jane Do"), Err(TooCommon));
        assert_eq!(canaries.floats("features", &[0.5; 64]), Err(TooCommon));
        assert_eq!(canaries.integers("pixels", &(0..15).collect::<Vec<_>>()), Err(TooCommon));
        assert_eq!(canaries.residues("plaintext", &[0; 2048], 50), Err(TooCommon));
        assert_eq!(canaries.key("key", &[0; 256]), Err(TooCommon));
        assert_eq!(canaries.count(), 0);
    }

    #[test]
    fn text_is_found_however_it_is_written() {
        let name = || of(|canaries| canaries.text("name", "CANARY^JANE"));
        for (form, bytes) in [
            ("UTF-8", b"x=CANARY^JANE".to_vec()),
            ("UTF-16, little endian", "CANARY^JANE".encode_utf16().flat_map(u16::to_le_bytes).collect()),
            ("UTF-16, big endian", "CANARY^JANE".encode_utf16().flat_map(u16::to_be_bytes).collect()),
            ("UTF-8, in hexadecimal", b"43414e4152595e4a414e45".to_vec()),
            ("UTF-8, in upper-case hexadecimal", b"43414E4152595E4A414E45".to_vec()),
        ] {
            assert_eq!(forms(name(), &bytes), [form]);
        }
        for before in 0..6 {
            let text = [&b"before"[..before], b"CANARY^JANE", b"behind"].concat();
            let found = forms(name(), STANDARD_NO_PAD.encode(&text).as_bytes());
            assert_eq!(found, [format!("UTF-8, in Base64 from byte {}", (3 - before % 3) % 3)]);
        }
        assert!(forms(name(), b"CANARY^JOHN").is_empty());
    }

    #[test]
    fn parts_of_lists_are_found_in_every_width() {
        let values: Vec<i64> = (0..64).map(|i| (i * i * 37 + 11 * i) % 251 - 120).collect();
        let list = || of(|canaries| canaries.integers("quantized", &values));
        let part = &values[20..60];
        let little: Vec<u8> = part.iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(forms(list(), &little), ["64 bits, little endian"]);
        let big: Vec<u8> = part.iter().flat_map(|value| (*value as i16).to_be_bytes()).collect();
        assert_eq!(forms(list(), &big), ["16 bits, big endian"]);
        let bytes: Vec<u8> = part.iter().map(|value| *value as i8 as u8).collect();
        assert_eq!(forms(list(), &bytes), ["8 bits"]);
        let json = serde_json::to_vec(part).unwrap();
        assert_eq!(forms(list(), &json), ["decimals, with commas"]);
        assert!(forms(list(), &little[..15 * 8]).is_empty(), "15 of them are too few");

        let floats: Vec<f64> = values.iter().map(|value| *value as f64 / 7.0).collect();
        let list = || of(|canaries| canaries.floats("features", &floats));
        let narrow: Vec<u8> = floats.iter().flat_map(|value| (*value as f32).to_be_bytes()).collect();
        assert_eq!(forms(list(), &narrow), ["f32, big endian"]);
        assert_eq!(forms(list(), &serde_json::to_vec(&floats).unwrap()), ["decimals of f64, with commas"]);

        let residues: Vec<u64> = values.iter().map(|value| value.rem_euclid(1 << 50) as u64).collect();
        let mut packed = Vec::new();
        pack(&residues, 50, &mut packed);
        let list = of(|canaries| canaries.residues("plaintext", &residues, 50));
        assert_eq!(forms(list, &packed), ["residues, packed"]);
    }

    #[test]
    fn one_number_is_found_however_many_digits_are_written() {
        for value in [0.737_482_936_489_237_4, 1_234.567_891_234_567_8, -0.001_234_567_891_234_567_8] {
            let number = || of(|canaries| canaries.number("feature", value));
            assert_eq!(forms(number(), &value.to_be_bytes()), ["one f64, big endian"]);
            for text in [format!("x={value}"), format!("[{value:?}]"), format!("{value:.14}")] {
                assert_eq!(forms(number(), text.as_bytes()), ["one number in plain notation"], "{text}");
            }
            let text = format!("{value:.13e}");
            assert_eq!(forms(number(), text.as_bytes()), ["one number in scientific notation"], "{text}");
        }
        let mut canaries = Canaries::new();
        for common in [0.0, 1.0, 0.5, 0.123_456_789, 1e300, f64::NAN] {
            assert_eq!(canaries.number("feature", common), Err(TooCommon), "{common}");
        }
    }

    #[test]
    fn bits_of_keys_are_found_packed_and_spread() {
        let packed: Vec<u8> = (0..32_u32).map(|i| (i * 167 + 89) as u8).collect();
        let key = || of(|canaries| canaries.key("key", &packed));
        assert_eq!(forms(key(), &packed), ["key bits, packed"]);
        let bits = packed.iter().flat_map(|byte| (0..8).map(move |at| u64::from(byte >> at & 1)));
        let words: Vec<u8> = bits.flat_map(u64::to_le_bytes).collect();
        // Of words of one bit the big endian ones lie between, seven bytes on.
        let found = forms(key(), &words);
        assert_eq!(found, ["key bits as words, big endian", "key bits as words, little endian"]);
    }

    #[test]
    fn samples_have_every_form_once_and_debug_shows_nothing() {
        let canaries = of(|canaries| {
            canaries.text("name", "CANARY^JANE")?;
            canaries.integers("pixels", &(0..4096).collect::<Vec<_>>())
        });
        let count = canaries.count();
        assert_eq!(format!("{canaries:?}"), format!("Canaries({count})"));
        let search = Search::new(canaries);
        let samples = search.samples();
        assert!(samples.len() < 150 && samples.len() < count / 10, "{} of {count}", samples.len());
        for (what, form, bytes) in samples {
            assert!(search.bytes(bytes).has(what, form), "{what}, {form}");
        }
    }
}
