//! Reading everything again while serving: the configuration file, certificates and revocation lists, the model
//! repository. Each part is replaced whole or, where it is broken, stays as it was; the log says which.

use std::sync::Arc;

use crate::{
    config::Config,
    gateway::{Gateway, Settings},
    listener::tls_files,
    tls,
};

pub(crate) struct Reloader {
    gateway: Arc<Gateway>,
    /// The last configuration that was whole.
    config: Config,
}

impl Reloader {
    pub(crate) fn new(gateway: Arc<Gateway>, config: Config) -> Self {
        Self { gateway, config }
    }

    /// Reads everything again. Waits for files.
    pub(crate) fn reload(&mut self) {
        let old = self.gateway.settings.load();
        let generation = old.generation + 1;
        let configured = self.reread();
        let tls = match tls_files(&self.config.tls).and_then(|files| tls::load(&files)) {
            Ok(tls) => Some(tls),
            Err(error) => {
                tracing::error!(%error, "the certificates stay as they were");
                None
            }
        };
        let certified = tls.is_some();
        let tls = tls.unwrap_or_else(|| old.tls.clone());
        self.gateway.apply(Settings::new(generation, tls, &self.config));
        let modelled = self.gateway.registry.reload();

        let whole = configured && certified && modelled;
        self.gateway.metrics.reloaded(whole);
        if whole {
            tracing::info!(generation, "reloaded");
        } else {
            tracing::error!(generation, "reloaded in part: what is broken stays as it was");
        }
    }

    fn reread(&mut self) -> bool {
        match self.config.reread() {
            Ok((config, fixed)) => {
                for name in fixed {
                    tracing::warn!(name, "a setting that changes with a restart only");
                }
                self.config = config;
                true
            }
            Err(error) => {
                tracing::error!(code = error.code(), %error, "the configuration stays as it was");
                false
            }
        }
    }
}
