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
    /// Whether [`Admission::spend`] will not wait for the disk, unless others spend first what the file covers.
    pub(crate) fn is_covered(&self) -> bool {
        self.charge.as_ref().is_none_or(Charge::is_covered)
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        data::DataDirectory,
        tenants::{Policy, Rate},
    };

    #[test]
    fn what_one_limit_refuses_costs_nothing_of_the_other() {
        let directory = tempfile::tempdir().unwrap();
        let lock = DataDirectory::open(directory.path()).unwrap();
        let (budgets, rates) = (Arc::new(Budgets::open(&lock).unwrap()), Arc::new(Rates::new()));
        let rate = Some(Rate { vectors_per_minute: 1, burst: 4 });
        let tenant = Tenant::for_test("a", Policy { budget: Some(6), rate, ..Policy::default() });
        let model = "m".into();
        let admit = |vectors| admit(&budgets, &rates, &tenant, &model, vectors);
        let refused = |vectors| admit(vectors).err();
        assert_eq!(refused(7), Some(ApiError::BudgetSpent { left: 6 }));
        assert_eq!(refused(5), Some(ApiError::OverBurst { burst: 4 }));
        // A request that found no place in the queue.
        drop(admit(4).unwrap());
        let mut evaluated = admit(4).unwrap();
        evaluated.spend().unwrap();
        assert_eq!(evaluated.keep(), Some(2));
        assert!(matches!(refused(2), Some(ApiError::RateLimited { .. })));
        assert_eq!(budgets.left(&tenant.id, &model, 6), 2);
    }
}
