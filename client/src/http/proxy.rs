//! An HTTP proxy: which one, and a tunnel through it. It is told the gateway's name and port, nothing else of ours in
//! clear; its credentials appear in no error.

use http_body_util::Empty;
use hyper::{
    Method, Request, Uri,
    body::Bytes,
    client::conn::http1,
    header::{HOST, HeaderValue, PROXY_AUTHORIZATION},
};
use hyper_util::{client::proxy::matcher::Matcher, rt::TokioIo};
use tokio::net::TcpStream;

use super::dial::Failure;
use crate::{Error, cli::ProxyUrl};

/// The head of a proxy's answer is at most this long.
const MAXIMUM_HEAD_BYTES: usize = 8 << 10;

const BAD_URL: &str = "a proxy is named by a URL such as http://proxy.example:3128, in --proxy or HTTPS_PROXY; https and \
                       socks proxies are not supported";

/// A proxy that a connection goes through.
pub(super) struct Proxy {
    host: String,
    port: u16,
    authorization: Option<HeaderValue>,
}

impl Proxy {
    /// The proxy that the option names, else the one that the environment names for this gateway.
    pub(super) fn choose(option: Option<&ProxyUrl>, gateway: &Uri) -> Result<Option<Self>, Error> {
        match option {
            Some(url) => Self::for_gateway(url.as_str(), "", gateway),
            None => match first_set(["HTTPS_PROXY", "https_proxy"]) {
                Some(url) => {
                    let no_proxy = first_set(["NO_PROXY", "no_proxy"]).unwrap_or_default();
                    Self::for_gateway(&url, &no_proxy, gateway)
                }
                None => Ok(None),
            },
        }
    }

    fn for_gateway(url: &str, no_proxy: &str, gateway: &Uri) -> Result<Option<Self>, Error> {
        let exceptions = Matcher::builder().https("http://any").no(no_proxy).build();
        // The matcher takes `*` for all names, but for no address.
        let all = no_proxy.split(',').any(|exception| exception.trim() == "*");
        if all || exceptions.intercept(gateway).is_none() {
            return Ok(None);
        }
        // The matcher takes a URL that it cannot read for no proxy: going around one in silence would be wrong.
        let proxy = Matcher::builder().https(url).build().intercept(gateway).ok_or(Error::Usage(BAD_URL))?;
        let (Some("http"), Some(host)) = (proxy.uri().scheme_str(), proxy.uri().host()) else {
            return Err(Error::Usage(BAD_URL));
        };
        Ok(Some(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: proxy.uri().port_u16().unwrap_or(80),
            authorization: proxy.basic_auth().cloned(),
        }))
    }

    /// Opens a tunnel to `target`, a host and port.
    pub(super) async fn tunnel(&self, target: &str) -> Result<TcpStream, Failure> {
        let broken = |_| Failure::Passing(Error::Proxy("its connection broke".into()));
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|error| Failure::Passing(Error::Proxy(format!("it cannot be reached: {error}"))))?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAXIMUM_HEAD_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let tunnel = tokio::spawn(connection.without_shutdown());

        let mut request = Request::builder().method(Method::CONNECT).uri(target).header(HOST, target);
        if let Some(authorization) = &self.authorization {
            request = request.header(PROXY_AUTHORIZATION, authorization);
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(|_| Failure::Lasting(Error::Url))?;
        let status = sender.send_request(request).await.map_err(broken)?.status();
        if !status.is_success() {
            let refused = Error::Proxy(format!("it refused the tunnel with status {}", status.as_u16()));
            return Err(match status.as_u16() {
                429 | 500.. => Failure::Passing(refused),
                _ => Failure::Lasting(refused),
            });
        }
        let ended = tunnel.await.map_err(|_| Failure::Lasting(Error::Proxy("the tunnel ended".into())))?;
        let parts = ended.map_err(broken)?;
        if !parts.read_buf.is_empty() {
            return Err(Failure::Lasting(Error::Proxy("it spoke before the gateway was asked".into())));
        }
        Ok(parts.io.into_inner())
    }
}

/// The first of these environment variables that is set and not empty.
fn first_set(names: [&str; 2]) -> Option<String> {
    names.into_iter().filter_map(|name| std::env::var(name).ok()).find(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(url: &str, no_proxy: &str) -> Result<Option<(String, u16, bool)>, Error> {
        let gateway = Uri::from_static("https://gateway.clinic.example:8443");
        let proxy = Proxy::for_gateway(url, no_proxy, &gateway)?;
        Ok(proxy.map(|proxy| (proxy.host, proxy.port, proxy.authorization.is_some())))
    }

    #[test]
    fn a_proxy_is_read_from_its_url() {
        let found = |url| chosen(url, "").unwrap().unwrap();
        assert_eq!(found("http://proxy.example:3128"), ("proxy.example".into(), 3128, false));
        assert_eq!(found("http://user:p%40ss@proxy.example:3128/"), ("proxy.example".into(), 3128, true));
        assert_eq!(found("proxy.example:3128"), ("proxy.example".into(), 3128, false));
        assert_eq!(found("http://[::1]"), ("::1".into(), 80, false));
    }

    #[test]
    fn what_is_no_proxy_is_refused_and_not_shown() {
        for url in [
            "https://u:secret@p:1",
            "socks5://u:secret@p",
            "http://u:secret@",
            "ftp://secret",
            "http:/ secret",
        ] {
            let error = chosen(url, "").unwrap_err();
            assert_eq!(error.code(), "usage", "{url}");
            assert!(!error.to_string().contains("secret"), "{error}");
            assert!(chosen(url, "*").unwrap().is_none(), "it is not used");
        }
    }

    #[test]
    fn exceptions_are_hosts_domains_networks_and_all() {
        let direct = |no_proxy| chosen("http://proxy.example:3128", no_proxy).unwrap().is_none();
        for no_proxy in ["*", "clinic.example", ".clinic.example", "a.example, gateway.clinic.example"] {
            assert!(direct(no_proxy), "{no_proxy}");
        }
        for no_proxy in ["", "linic.example", "other.example", "10.0.0.0/8"] {
            assert!(!direct(no_proxy), "{no_proxy}");
        }
        let gateway = Uri::from_static("https://10.1.2.3");
        for no_proxy in ["*", "10.0.0.0/8", "10.1.2.3"] {
            assert!(Proxy::for_gateway("http://p:1", no_proxy, &gateway).unwrap().is_none(), "{no_proxy}");
        }
    }
}
