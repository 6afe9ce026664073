//! Who is at the other end of a connection. Certificates were checked in the handshake; a connection may outlive the
//! files that let it in, so after each reload the first request checks them again.

use std::sync::{Arc, Mutex, PoisonError};

use rustls_pki_types::CertificateDer;
use tokio::sync::Notify;

use crate::{error::ApiError, gateway::Settings, tenants::Tenant};

pub(crate) struct Peer {
    certificates: Vec<CertificateDer<'static>>,
    known: Mutex<Known>,
    close: Notify,
}

/// What was found out, and under which settings.
struct Known {
    generation: u64,
    tenant: Result<Arc<Tenant>, ApiError>,
}

impl Peer {
    /// The peer of a handshake under `settings`. `resumed` says that it was not asked for its certificate again.
    pub(crate) fn new(certificates: &[CertificateDer<'_>], settings: &Settings, resumed: bool) -> Self {
        let certificates: Vec<_> = certificates.iter().map(|one| one.clone().into_owned()).collect();
        let tenant = identify(&certificates, settings, resumed);
        let known = Mutex::new(Known { generation: settings.generation, tenant });
        Self { certificates, known, close: Notify::new() }
    }

    /// Who asks now. Where the answer is an error, the connection is to end behind it.
    pub(crate) fn tenant(&self, settings: &Settings) -> Result<Arc<Tenant>, ApiError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.generation != settings.generation {
            known.tenant = identify(&self.certificates, settings, true);
            known.generation = settings.generation;
        }
        if known.tenant.is_err() {
            self.close.notify_one();
        }
        known.tenant.clone()
    }

    /// Resolves when the connection is to end.
    pub(crate) async fn closed(&self) {
        self.close.notified().await;
    }
}

fn identify(
    certificates: &[CertificateDer<'_>],
    settings: &Settings,
    verify: bool,
) -> Result<Arc<Tenant>, ApiError> {
    if verify && !settings.tls.admits(certificates) {
        return Err(ApiError::CertificateRevoked);
    }
    settings.tenants.of_peer(certificates).ok_or(ApiError::UnknownTenant)
}
