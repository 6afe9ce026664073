//! Admission: what a tenant may have of a model is taken before anything is evaluated, and goes back where nothing
//! is. The budget comes first, because what it refuses no waiting changes; the rate next; the fair queue last, in
//! `compute`.

use std::{io, sync::Arc};

use crate::{
    budget::{Budgets, Charge},
    error::ApiError,
    rate::{Rates, Taken},
    tenants::Tenant,
};

/// What was taken for one request.
pub(crate) struct Admission {
    charge: Option<Charge>,
    taken: Option<Taken>,
}

/// Admits `vectors` of `model` for `tenant`, all or none.
pub(crate) fn admit(
    budgets: &Arc<Budgets>,
    rates: &Arc<Rates>,
    tenant: &Tenant,
    model: &Arc<str>,
    vectors: u64,
) -> Result<Admission, ApiError> {
    let policy = &tenant.policy;
    let charge = policy.budget.map(|limit| budgets.hold(&tenant.id, model, limit, vectors)).transpose()?;
    let taken = policy.rate.map(|rate| rates.take(&tenant.id, rate, vectors)).transpose()?;
    Ok(Admission { charge, taken })
}

impl Admission {
    /// Right before the evaluation: from here on a crash counts the vectors. May wait for the disk.
    pub(crate) fn spend(&mut self) -> io::Result<()> {
        self.charge.as_mut().map_or(Ok(()), Charge::spend)
    }

    /// Right after it: the vectors stay counted. Returns what is left of the budget, where there is one.
    pub(crate) fn keep(self) -> Option<u64> {
        if let Some(taken) = self.taken {
            taken.keep();
        }
        self.charge.map(Charge::keep)
    }
}
