//! Options that name a gateway and say how to reach it.

use std::{fmt, path::PathBuf};

use clap::{Args, value_parser};
use zeroize::Zeroizing;

/// Which gateway, and by which certificates the two know each other.
#[derive(Debug, Clone, Args)]
pub struct GatewayArgs {
    /// The gateway's https URL
    #[arg(long, value_name = "URL")]
    pub gateway: String,
    /// The authority that signed the gateway's certificate, PEM; the system's by default
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// This clinic's certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// The private key of that certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// How to reach a gateway, and how patiently.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connection")]
pub struct NetworkArgs {
    /// Seconds for one attempt to connect: name, TCP, proxy and TLS together
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = value_parser!(u64).range(1..=3600))]
    pub connect_timeout: u64,
    /// Seconds from the first byte of a request to the last of its answer
    ///
    /// The upload of an evaluation key may take longer, as long as its bytes flow.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,
    /// How often to try again where nothing can have been evaluated
    ///
    /// A failed attempt to connect is repeated after a growing pause, certificate errors excepted. A request that the
    /// gateway refuses for now (429, 503) is encrypted afresh and asked again after the gateway's Retry-After; for
    /// one request, these waits together take at most the seconds of --timeout. A request that may have reached the
    /// gateway is never sent twice, except for that of an evaluation key, which may arrive twice.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = value_parser!(u32).range(0..=20))]
    pub retries: u32,
    /// An HTTP proxy to tunnel through, `http://[user:password@]host:port`
    ///
    /// By default that of HTTPS_PROXY or https_proxy, unless NO_PROXY or no_proxy names the gateway: a list of hosts,
    /// domains with all below them, networks, or *. TLS goes through the proxy end to end: it sees the gateway's name
    /// and encrypted bytes. Other users of this machine can see a password on the command line: prefer the variable.
    #[arg(long, value_name = "URL")]
    pub proxy: Option<ProxyUrl>,
}

/// A proxy's URL, which may hold a password: it is never shown.
#[derive(Clone)]
pub struct ProxyUrl(Zeroizing<String>);

impl ProxyUrl {
    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for ProxyUrl {
    fn from(url: String) -> Self {
        Self(Zeroizing::new(url))
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyUrl(..)")
    }
}
