//! A node's attributes, read with a check of their types.
//!
//! What an operator reads is recorded: the meaning of an attribute that is not read would be silently
//! lost, so it is reported as unsupported.

use std::cell::RefCell;

use super::OpError;
use crate::proto::{AttributeProto, AttributeType, GraphProto, TensorProto};

pub(crate) struct Attributes<'a> {
    list: &'a [AttributeProto],
    read: RefCell<Vec<bool>>,
}

impl<'a> Attributes<'a> {
    pub(crate) fn new(list: &'a [AttributeProto]) -> Self {
        Self { list, read: RefCell::new(vec![false; list.len()]) }
    }

    /// The names of attributes that were not asked for.
    pub(crate) fn unread(&self) -> Vec<&'a str> {
        let read = self.read.borrow();
        self.list.iter().zip(read.iter()).filter(|(_, read)| !**read).map(|(a, _)| a.name.as_str()).collect()
    }

    /// Accepts an attribute that has no bearing on the result.
    pub(crate) fn ignore(&self, name: &str) {
        self.mark(name);
    }

    fn mark(&self, name: &str) -> Option<&'a AttributeProto> {
        let index = self.list.iter().position(|a| a.name == name)?;
        if let Some(read) = self.read.borrow_mut().get_mut(index) {
            *read = true;
        }
        self.list.get(index)
    }

    fn get(&self, name: &str, wanted: AttributeType) -> Result<Option<&'a AttributeProto>, OpError> {
        let Some(attribute) = self.mark(name) else { return Ok(None) };
        let found = attribute.r#type;
        // Files from before 2017 do not say the type.
        if found != i32::from(wanted) && found != i32::from(AttributeType::Undefined) {
            let found =
                AttributeType::try_from(found).map_or(format!("number {found}"), |t| format!("{t:?}"));
            return Err(OpError::Invalid(format!("attribute `{name}` should be {wanted:?}, but is {found}")));
        }
        Ok(Some(attribute))
    }

    pub(crate) fn int(&self, name: &str) -> Result<Option<i64>, OpError> {
        // In the format's older dialect a missing number is zero.
        Ok(self.get(name, AttributeType::Int)?.map(|a| a.i.unwrap_or(0)))
    }

    pub(crate) fn int_or(&self, name: &str, default: i64) -> Result<i64, OpError> {
        Ok(self.int(name)?.unwrap_or(default))
    }

    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, OpError> {
        Ok(self.int(name)?.map_or(default, |i| i != 0))
    }

    pub(crate) fn float(&self, name: &str) -> Result<Option<f32>, OpError> {
        Ok(self.get(name, AttributeType::Float)?.map(|a| a.f.unwrap_or(0.0)))
    }

    pub(crate) fn float_or(&self, name: &str, default: f32) -> Result<f32, OpError> {
        Ok(self.float(name)?.unwrap_or(default))
    }

    pub(crate) fn ints(&self, name: &str) -> Result<Option<&'a [i64]>, OpError> {
        Ok(self.get(name, AttributeType::Ints)?.map(|a| a.ints.as_slice()))
    }

    pub(crate) fn floats(&self, name: &str) -> Result<Option<&'a [f32]>, OpError> {
        Ok(self.get(name, AttributeType::Floats)?.map(|a| a.floats.as_slice()))
    }

    pub(crate) fn string(&self, name: &str) -> Result<Option<&'a str>, OpError> {
        let Some(attribute) = self.get(name, AttributeType::String)? else { return Ok(None) };
        std::str::from_utf8(attribute.s.as_deref().unwrap_or_default())
            .map(Some)
            .map_err(|_| OpError::Invalid(format!("attribute `{name}` is not UTF-8")))
    }

    pub(crate) fn strings(&self, name: &str) -> Result<Option<Vec<&'a str>>, OpError> {
        let Some(attribute) = self.get(name, AttributeType::Strings)? else { return Ok(None) };
        let read = |bytes: &'a Vec<u8>| std::str::from_utf8(bytes);
        let strings: Result<Vec<_>, _> = attribute.strings.iter().map(read).collect();
        strings.map(Some).map_err(|_| OpError::Invalid(format!("attribute `{name}` is not UTF-8")))
    }

    pub(crate) fn string_or(&self, name: &str, default: &'static str) -> Result<&'a str, OpError> {
        Ok(self.string(name)?.unwrap_or(default))
    }

    pub(crate) fn tensor(&self, name: &str) -> Result<Option<&'a TensorProto>, OpError> {
        Ok(self.get(name, AttributeType::Tensor)?.and_then(|a| a.t.as_ref()))
    }

    pub(crate) fn graph(&self, name: &str) -> Result<Option<&'a GraphProto>, OpError> {
        Ok(self.get(name, AttributeType::Graph)?.and_then(|a| a.g.as_ref()))
    }
}
