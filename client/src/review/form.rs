//! What a browser sends of a form: `application/x-www-form-urlencoded`, of known fields.

use tiresias_record::Verdict;
use zeroize::Zeroizing;

/// A decision as it was sent. Its texts are not checked yet.
#[derive(Default)]
pub(super) struct Form {
    /// The secret of our forms.
    pub(super) secret: String,
    /// `accept`, `override`, or `to:` and a label.
    choice: String,
    /// Labels, where there may be several.
    to: Vec<String>,
    pub(super) by: Zeroizing<String>,
    pub(super) reason: Zeroizing<String>,
    pub(super) again: bool,
}

impl Form {
    /// Reads a body. Nothing where a field is unknown or twice there, or no text.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let mut form = Self::default();
        let mut seen: Vec<String> = Vec::new();
        for pair in body.split(|&byte| byte == b'&') {
            let at = pair.iter().position(|&byte| byte == b'=')?;
            let (name, value) = (decode(&pair[..at])?, decode(&pair[at + 1..])?);
            if name != "to" && seen.contains(&name) {
                return None;
            }
            match name.as_str() {
                "form" => form.secret = value,
                "choice" => form.choice = value,
                "to" => form.to.push(value),
                "by" => form.by = value.into(),
                "reason" => form.reason = value.into(),
                "again" => form.again = value == "1",
                _ => return None,
            }
            seen.push(name);
        }
        Some(form)
    }

    /// What was decided; nothing where no choice was made.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        match self.choice.as_str() {
            "accept" => Some(Verdict::Accept),
            "override" if self.to.is_empty() => {
                Some(Verdict::Override(vec![tiresias_record::case::NONE.to_owned()]))
            }
            "override" => Some(Verdict::Override(self.to.clone())),
            other => other.strip_prefix("to:").map(|label| Verdict::Override(vec![label.to_owned()])),
        }
    }
}

fn decode(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [*rest.next()?, *rest.next()?];
                let mut byte = [0];
                hex::decode_to_slice(digits, &mut byte).ok()?;
                byte[0]
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms_are_read() {
        let form =
            Form::read(b"form=ab&choice=to%3Abenign+mass&by=M%C3%BC&reason=a%26b%3D+c%2B&again=1").unwrap();
        assert_eq!((form.secret.as_str(), form.by.as_str(), form.reason.as_str()), ("ab", "Mü", "a&b= c+"));
        assert!(form.again && form.verdict() == Some(Verdict::Override(vec!["benign mass".into()])));
        let of = |body: &[u8]| Form::read(body).unwrap().verdict();
        assert!(of(b"choice=accept") == Some(Verdict::Accept));
        assert!(of(b"choice=override&to=a&to=b") == Some(Verdict::Override(vec!["a".into(), "b".into()])));
        assert!(of(b"choice=override") == Some(Verdict::Override(vec!["none".into()])));
        assert!(of(b"by=AB").is_none() && of(b"choice=other").is_none());
        for bad in
            [&b""[..], b"by", b"by=a&by=b", b"other=1", b"by=%", b"by=%4", b"by=%zz", b"by=%ff", b"by=a&"]
        {
            assert!(Form::read(bad).is_none(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_a_browser_encodes_comes_back(text in ".{0,40}") {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let form = Form::read(format!("reason={encoded}").as_bytes()).unwrap();
            prop_assert_eq!(form.reason.as_str(), text);
        }

        #[test]
        fn no_body_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Form::read(&body);
        }
    }
}
