//! Who asks, and what they may: a tenant is a configured name, or else the SHA-256 of a client certificate's public
//! key. Several keys under one name are one tenant, so that a clinic can change its certificate.

use std::{collections::BTreeMap, sync::Arc};

use rustls_pki_types::CertificateDer;
use tiresias_keys::Digest;

/// What budgets, rates and places are counted under. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Arc<str>);

impl TenantId {
    fn named(name: &str) -> Self {
        Self(format!("name:{name}").into())
    }

    fn of_key(key: &Digest) -> Self {
        Self(format!("key:{key}").into())
    }

    fn anonymous() -> Self {
        Self("anonymous".into())
    }

    /// As stored in the gateway's data directory.
    pub(crate) fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// How fast a tenant may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Vectors a minute in the long run, at least 1.
    pub vectors_per_minute: u64,
    /// Vectors at once after a rest, at least 1.
    pub burst: u64,
}

/// What a tenant may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Whether it may load and unload models.
    pub operator: bool,
    /// Score vectors of each model, over all time; `None` counts none.
    pub budget: Option<u64>,
    /// How fast it may ask; `None` sets no limit.
    pub rate: Option<Rate>,
    /// Its share of a busy gateway, relative to the others', at least 1.
    pub weight: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self { operator: false, budget: None, rate: None, weight: 1 }
    }
}

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    pub(crate) id: TenantId,
    pub(crate) policy: Policy,
    log_name: Arc<str>,
}

impl Tenant {
    fn new(id: TenantId, log_name: &str, policy: Policy) -> Self {
        Self { id, policy, log_name: log_name.into() }
    }

    #[cfg(test)]
    pub(crate) fn for_test(name: &str, policy: Policy) -> Self {
        Self::new(TenantId::named(name), name, policy)
    }

    /// A name for logs: the configured one, else the first 16 digits of the key's hash, else `anonymous`.
    #[must_use]
    pub fn log_name(&self) -> Arc<str> {
        Arc::clone(&self.log_name)
    }
}

/// The configured tenants. An empty list admits every certificate of the client CA.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tenants {
    listed: BTreeMap<Digest, Arc<Tenant>>,
    /// What those may who are not listed, where there is no list.
    unlisted: Policy,
}

impl Tenants {
    /// From triples of public key hash, name and policy, and the policy of everyone where there are none.
    pub fn new(listed: impl IntoIterator<Item = (Digest, String, Policy)>, unlisted: Policy) -> Self {
        let listed = listed
            .into_iter()
            .map(|(key, name, policy)| (key, Arc::new(Tenant::new(TenantId::named(&name), &name, policy))));
        Self { listed: listed.collect(), unlisted }
    }

    /// The tenant of a connection, from the peer's certificate chain. `None` where a list is configured and does not
    /// name the key, or where the certificate cannot be read.
    pub(crate) fn of_peer(&self, certificates: &[CertificateDer<'_>]) -> Option<Arc<Tenant>> {
        let Some(certificate) = certificates.first() else {
            let anonymous = || Tenant::new(TenantId::anonymous(), "anonymous", self.unlisted);
            return self.listed.is_empty().then(|| Arc::new(anonymous()));
        };
        let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
        let key = Digest::of(&certificate.subject_public_key_info());
        if self.listed.is_empty() {
            let id = TenantId::of_key(&key);
            return Some(Arc::new(Tenant::new(id, &key.to_string()[..16], self.unlisted)));
        }
        self.listed.get(&key).cloned()
    }

    /// Names in the list; one with several keys counts once.
    #[must_use]
    pub fn names(&self) -> usize {
        let mut ids: Vec<&TenantId> = self.listed.values().map(|tenant| &tenant.id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.len()
    }

    /// Whether anyone has a budget.
    #[must_use]
    pub fn any_budget(&self) -> bool {
        self.policies().any(|policy| policy.budget.is_some())
    }

    /// Whether everyone has a budget.
    #[must_use]
    pub fn all_budgets(&self) -> bool {
        self.policies().all(|policy| policy.budget.is_some())
    }

    fn policies(&self) -> impl Iterator<Item = &Policy> {
        let unlisted = self.listed.is_empty().then_some(&self.unlisted);
        self.listed.values().map(|tenant| &tenant.policy).chain(unlisted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls;

    #[test]
    fn tenants_are_named_by_their_public_key() {
        let directory = tempfile::tempdir().unwrap();
        tls::ensure_self_signed(directory.path()).unwrap();
        let read = |name: &str| tls::read_certificates(&directory.path().join(name)).unwrap();
        let (client, server) = (read("client.pem"), read("server.pem"));
        let open = Tenants::default();
        let unnamed = open.of_peer(&client).unwrap();
        assert_eq!(&*open.of_peer(&[]).unwrap().log_name(), "anonymous");
        assert_eq!(unnamed.log_name().len(), 16);

        let key = Digest::from_hex(unnamed.id.as_str().strip_prefix("key:").unwrap()).unwrap();
        let policy = Policy { operator: true, ..Policy::default() };
        let listed = Tenants::new([(key, "clinic-a".to_owned(), policy)], Policy::default());
        let tenant = listed.of_peer(&client).unwrap();
        assert_eq!((&*tenant.log_name(), tenant.policy), ("clinic-a", policy));
        assert_eq!(listed.of_peer(&server), None);
        assert_eq!(listed.of_peer(&[]), None);
        assert_eq!(listed.of_peer(&[CertificateDer::from(vec![1])]), None);
    }

    #[test]
    fn several_keys_of_one_name_are_one_tenant() {
        let keys = [Digest::of(b"old"), Digest::of(b"new")];
        let pair = keys.map(|key| (key, "clinic-a".to_owned(), Policy::default()));
        assert_eq!(Tenants::new(pair, Policy::default()).names(), 1);
    }
}
