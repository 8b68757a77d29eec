//! A setting that may be another one for single tenants.

use std::collections::BTreeMap;

/// What holds for each tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PerTenant<T> {
    /// For tenants that have nothing of their own.
    pub of_others: T,
    /// For single tenants, by id.
    pub of_tenants: BTreeMap<String, T>,
}

impl<T: Copy> PerTenant<T> {
    /// The same for all.
    #[must_use]
    pub fn all(of_others: T) -> Self {
        Self {
            of_others,
            of_tenants: BTreeMap::new(),
        }
    }

    /// Reads `VALUE`, or `VALUE,ten_a=OTHER,ten_b=OTHER`: what has no tenant before it holds for all others, and stands there once
    /// at most; where it does not, `of_others` holds for them. `None` where a value is none by `value`, or a tenant has two.
    #[must_use]
    pub fn read(text: &str, of_others: T, value: impl Fn(&str) -> Option<T>) -> Option<Self> {
        let mut read = Self::all(of_others);
        let mut has_default = false;
        for part in text.split(',').map(str::trim) {
            match part.split_once('=') {
                None if has_default => return None,
                None => {
                    read.of_others = value(part)?;
                    has_default = true;
                }
                Some((tenant, own)) => {
                    let (tenant, own) = (tenant.trim(), value(own.trim())?);
                    let before = read.of_tenants.insert(tenant.to_owned(), own);
                    if tenant.is_empty() || before.is_some() {
                        return None;
                    }
                }
            }
        }
        Some(read)
    }

    /// What holds for a tenant.
    #[must_use]
    pub fn of(&self, tenant_id: &str) -> T {
        let own = self.of_tenants.get(tenant_id).copied();
        own.unwrap_or(self.of_others)
    }
}

impl<T: Copy + Ord> PerTenant<T> {
    /// The most that holds for anybody.
    #[must_use]
    pub fn most(&self) -> T {
        let own = self.of_tenants.values().copied();
        own.fold(self.of_others, T::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<PerTenant<u64>> {
        PerTenant::read(text, 7, |n| n.parse().ok().filter(|n| *n > 0))
    }

    #[test]
    fn tenants_have_their_own_and_others_what_is_left() {
        assert_eq!(read("5"), Some(PerTenant::all(5)));
        let some = read("ten_a=9, 5,ten_b = 3").unwrap();
        assert_eq!(["ten_a", "ten_b", "ten_c"].map(|t| some.of(t)), [9, 3, 5]);
        assert_eq!(some.most(), 9);
        let one = read("ten_a=3").unwrap();
        assert_eq!((one.of("ten_a"), one.of("ten_b"), one.most()), (3, 7, 7));
        for wrong in [
            "",
            "0",
            "many",
            "5,5",
            "ten_a=",
            "ten_a=0",
            "=5",
            "ten_a=5,ten_a=6",
            "5,",
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
