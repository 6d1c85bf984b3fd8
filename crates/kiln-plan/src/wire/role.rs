//! What inputs of programs are for.

use prost::Enumeration;

use super::invalid;
use crate::{PlanError, Problem};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(super) enum Role {
    Unknown = 0,
    Data = 1,
    Target = 2,
    LearningRate = 3,
    Momentum = 4,
    Beta1 = 5,
    Update = 6,
}

impl Role {
    pub(super) fn of(role: &crate::Role) -> i32 {
        i32::from(match role {
            crate::Role::Data => Role::Data,
            crate::Role::Target => Role::Target,
            crate::Role::LearningRate => Role::LearningRate,
            crate::Role::Momentum => Role::Momentum,
            crate::Role::Beta1 => Role::Beta1,
            crate::Role::Update => Role::Update,
        })
    }

    pub(super) fn read(role: i32, at: &str) -> Result<crate::Role, PlanError> {
        match Role::try_from(role) {
            Ok(Role::Data) => Ok(crate::Role::Data),
            Ok(Role::Target) => Ok(crate::Role::Target),
            Ok(Role::LearningRate) => Ok(crate::Role::LearningRate),
            Ok(Role::Momentum) => Ok(crate::Role::Momentum),
            Ok(Role::Beta1) => Ok(crate::Role::Beta1),
            Ok(Role::Update) => Ok(crate::Role::Update),
            Ok(Role::Unknown) | Err(_) => {
                Err(invalid(at, Problem::Unknown { what: "role of an input", value: role }))
            }
        }
    }
}
