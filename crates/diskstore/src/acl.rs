//! What ACL there is: everything is its owner's alone. Writing others is
//! `NotImplemented`.

use s3s::dto::{Grant, Grantee, Owner, Permission, Type};

use crate::events::OWNER;

/// Who owns everything in the store.
pub(crate) fn owner() -> Owner {
    Owner {
        display_name: Some(OWNER.to_owned()),
        id: Some(OWNER.to_owned()),
    }
}

/// The grants of every bucket and object.
pub(crate) fn grants() -> Vec<Grant> {
    vec![Grant {
        grantee: Some(Grantee {
            display_name: Some(OWNER.to_owned()),
            email_address: None,
            id: Some(OWNER.to_owned()),
            type_: Type::from_static(Type::CANONICAL_USER),
            uri: None,
        }),
        permission: Some(Permission::from_static(Permission::FULL_CONTROL)),
    }]
}
