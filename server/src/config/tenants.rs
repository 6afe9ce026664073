//! `[budget]`, `[rate]` and `[[tenants]]` become [`Tenants`], each with its policy.

use std::collections::BTreeMap;

use serde::Deserialize;
use tiresias_keys::Digest;

use super::Error;
use crate::tenants::{Policy, Rate, Tenants};

const MAXIMUM_VECTORS: u64 = 1_000_000_000_000;
const MAXIMUM_RATE: u64 = 1_000_000_000;
const MAXIMUM_WEIGHT: u32 = 1000;

/// `[budget]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FileBudget {
    vectors: Option<u64>,
}

/// `[rate]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FileRate {
    vectors_per_minute: Option<u64>,
    burst: Option<u64>,
}

/// `[[tenants]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileTenant {
    name: String,
    public_key_sha256: String,
    #[serde(default)]
    operator: bool,
    vectors: Option<u64>,
    vectors_per_minute: Option<u64>,
    burst: Option<u64>,
    weight: Option<u32>,
}

/// Checks the three and puts them together: what a tenant does not state is that of everyone.
pub(super) fn check(budget: &FileBudget, rate: &FileRate, list: Vec<FileTenant>) -> Result<Tenants, Error> {
    let everyone = Policy {
        budget: vectors(budget.vectors)?,
        rate: rate_of(rate.vectors_per_minute, rate.burst)?,
        ..Policy::default()
    };
    let mut by_name: BTreeMap<String, Policy> = BTreeMap::new();
    let mut by_key: BTreeMap<Digest, (String, Policy)> = BTreeMap::new();
    for tenant in list {
        let key = Digest::from_hex(&tenant.public_key_sha256)
            .map_err(|_| Error::Rule("a tenant's public_key_sha256 is 64 lowercase hexadecimal digits"))?;
        if tenant.name.is_empty() || tenant.name.len() > 64 || tenant.name.contains(char::is_control) {
            return Err(Error::Rule("a tenant's name is 1 to 64 bytes without control characters"));
        }
        let policy = tenant.policy(&everyone, rate)?;
        if *by_name.entry(tenant.name.clone()).or_insert(policy) != policy {
            return Err(Error::Rule("tenants of one name are one tenant: their settings must be the same"));
        }
        if by_key.insert(key, (tenant.name, policy)).is_some() {
            return Err(Error::Rule("a public_key_sha256 stands once in the list of tenants"));
        }
    }
    Ok(Tenants::new(by_key.into_iter().map(|(key, (name, policy))| (key, name, policy)), everyone))
}

impl FileTenant {
    fn policy(&self, everyone: &Policy, rate: &FileRate) -> Result<Policy, Error> {
        let weight = self.weight.unwrap_or(1);
        if !(1..=MAXIMUM_WEIGHT).contains(&weight) {
            return Err(Error::Rule("a tenant's weight is 1 to 1000"));
        }
        Ok(Policy {
            operator: self.operator,
            budget: vectors(self.vectors)?.or(everyone.budget),
            rate: rate_of(self.vectors_per_minute.or(rate.vectors_per_minute), self.burst.or(rate.burst))?,
            weight,
        })
    }
}

fn vectors(vectors: Option<u64>) -> Result<Option<u64>, Error> {
    match vectors {
        Some(vectors) if vectors > MAXIMUM_VECTORS => {
            Err(Error::Rule("a budget is at most 1000000000000 vectors"))
        }
        vectors => Ok(vectors),
    }
}

fn rate_of(vectors_per_minute: Option<u64>, burst: Option<u64>) -> Result<Option<Rate>, Error> {
    let Some(vectors_per_minute) = vectors_per_minute else {
        return match burst {
            None => Ok(None),
            Some(_) => Err(Error::Rule("a burst needs vectors_per_minute")),
        };
    };
    let burst = burst.unwrap_or(vectors_per_minute);
    if ![vectors_per_minute, burst].iter().all(|value| (1..=MAXIMUM_RATE).contains(value)) {
        return Err(Error::Rule("a rate's vectors_per_minute and burst are 1 to 1000000000"));
    }
    Ok(Some(Rate { vectors_per_minute, burst }))
}
