//! Who may see the page: the browser that first opened the printed address, and pages of ours in it.
//!
//! The address holds a token in its path and works once: it becomes a cookie that scripts cannot read and that no other site's
//! links or forms carry. A token in the fragment would need a script, and one that stayed in the address would stay in the
//! browser's history. Other users of this machine can connect and lack both. Each form carries a third secret.

use std::sync::{Mutex, PoisonError};

use hyper::{
    HeaderMap, Method,
    header::{CONTENT_TYPE, COOKIE, HOST, HeaderName, ORIGIN},
};
use sha2::{Digest as _, Sha256};

use crate::Error;

const NAME: &str = "tiresias_review";
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a request goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turned {
    /// It is for another host: a name that someone made lead here.
    OtherHost,
    /// A form of another page.
    OtherOrigin,
    /// No cookie, a wrong one, or a token that was used.
    Stranger,
}

pub(super) struct Door {
    /// `127.0.0.1:1234`.
    authority: String,
    /// The token's hash, until it is used.
    token: Mutex<Option<[u8; 32]>>,
    session: [u8; 32],
    cookie: String,
    form: String,
}

impl Door {
    /// A door and the token that opens it.
    pub(super) fn new(authority: String) -> Result<(Self, String), Error> {
        let [token, cookie, form] = [secret()?, secret()?, secret()?];
        let (opens, session) = (Mutex::new(Some(hash(&token))), hash(&cookie));
        Ok((Self { authority, token: opens, session, cookie, form }, token))
    }

    /// Uses the token, and gives the cookie that stands for it.
    pub(super) fn open(&self, token: &str) -> Result<String, Turned> {
        // A thread that died while it held the lock changed nothing by halves.
        let mut expected = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        if *expected != Some(hash(token)) {
            return Err(Turned::Stranger);
        }
        *expected = None;
        Ok(format!("{NAME}={}; Path=/; HttpOnly; SameSite=Strict", self.cookie))
    }

    /// What each form of ours must carry.
    pub(super) fn form(&self) -> &str {
        &self.form
    }

    /// Whether a form carries it.
    pub(super) fn is_form(&self, given: &str) -> bool {
        hash(given) == hash(&self.form)
    }

    /// Whether a request is for us, and where it changes something, from a page of ours.
    pub(super) fn expect_ours(&self, method: &Method, headers: &HeaderMap) -> Result<(), Turned> {
        let one = |name: HeaderName| {
            let mut values = headers.get_all(name).iter();
            let value = values.next().and_then(|value| value.to_str().ok());
            value.filter(|_| values.next().is_none())
        };
        if one(HOST) != Some(self.authority.as_str()) {
            return Err(Turned::OtherHost);
        }
        if method == Method::GET {
            return Ok(());
        }
        let is_form = one(CONTENT_TYPE) == Some("application/x-www-form-urlencoded");
        let is_same =
            one(ORIGIN).and_then(|origin| origin.strip_prefix("http://")) == Some(self.authority.as_str());
        let is_same_site = one(SITE).is_none_or(|site| site == "same-origin");
        if is_form && is_same && is_same_site { Ok(()) } else { Err(Turned::OtherOrigin) }
    }

    /// Whether a request comes from the browser that opened the address.
    pub(super) fn expect_known(&self, headers: &HeaderMap) -> Result<(), Turned> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut named =
            cookies.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
        // Hashes of secrets can be compared byte by byte.
        let is_known = named.any(|(name, value)| name == NAME && hash(value) == self.session);
        if is_known { Ok(()) } else { Err(Turned::Stranger) }
    }
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// 256 bits, in hexadecimal digits.
fn secret() -> Result<String, Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::Output(std::io::Error::other(error.to_string())))?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_token_opens_once_and_only_its_cookie_is_known() {
        let (door, token) = Door::new("127.0.0.1:1".into()).unwrap();
        assert_eq!(door.open("0"), Err(Turned::Stranger));
        let cookie = door.open(&token).unwrap();
        assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"));
        assert_eq!(door.open(&token), Err(Turned::Stranger));
        let pair = cookie.split(';').next().unwrap();
        for (fields, known) in [
            (vec![("cookie", pair.to_owned())], true),
            (vec![("cookie", format!("a=b; {pair}"))], true),
            (vec![("cookie", "a=b".to_owned()), ("cookie", pair.to_owned())], true),
            (vec![], false),
            (vec![("cookie", format!("{NAME}={token}"))], false),
            (vec![("cookie", format!("{NAME}="))], false),
            (vec![("cookie", pair.replace(NAME, "other"))], false),
        ] {
            let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!(door.expect_known(&headers(&fields)).is_ok(), known, "{fields:?}");
        }
        assert!(door.is_form(door.form()) && !door.is_form("") && !door.is_form(&token));
    }

    #[test]
    fn other_hosts_and_other_pages_are_turned_away() {
        let (door, _) = Door::new("127.0.0.1:1".into()).unwrap();
        let (host, origin) = (("host", "127.0.0.1:1"), ("origin", "http://127.0.0.1:1"));
        let kind = ("content-type", "application/x-www-form-urlencoded");
        let get = |fields: &[_]| door.expect_ours(&Method::GET, &headers(fields));
        assert_eq!(get(&[host]), Ok(()));
        for other in ["127.0.0.1:2", "127.0.0.1", "evil.example:1", "localhost:1", ""] {
            assert_eq!(get(&[("host", other)]), Err(Turned::OtherHost), "{other}");
        }
        assert_eq!((get(&[]), get(&[host, host])), (Err(Turned::OtherHost), Err(Turned::OtherHost)));
        let post = |fields: &[_]| door.expect_ours(&Method::POST, &headers(fields));
        assert_eq!(post(&[host, kind, origin]), Ok(()));
        assert_eq!(post(&[host, kind, origin, ("sec-fetch-site", "same-origin")]), Ok(()));
        for fields in [
            &[host, kind][..],
            &[host, origin],
            &[host, origin, ("content-type", "text/plain")],
            &[host, kind, ("origin", "null")],
            &[host, kind, ("origin", "http://127.0.0.1:2")],
            &[host, kind, ("origin", "https://127.0.0.1:1")],
            &[host, kind, origin, ("sec-fetch-site", "same-site")],
            &[host, kind, origin, ("sec-fetch-site", "cross-site")],
        ] {
            assert_eq!(post(fields), Err(Turned::OtherOrigin), "{fields:?}");
        }
        assert_eq!(post(&[kind, origin]), Err(Turned::OtherHost));
    }
}
