//! Update masks (AIP-134).
//!
//! With an update mask, only the fields in the mask change. A field in the mask that the message does not set is
//! cleared. Without a mask, every field that the message sets changes. A list or map counts as set if it is not
//! empty.

use std::collections::BTreeSet;

use crate::{
    agents::Change,
    error::{Error, Result},
};

/// An update mask. `fields` is `None` if the request has no mask.
pub(super) struct Mask {
    fields: Option<BTreeSet<String>>,
}

impl Mask {
    /// Reads the mask of a request that updates `object`, such as "a thread". A mask may also contain `ids`, which never
    /// change.
    ///
    /// # Errors
    /// INVALID_REQUEST if the mask contains another field.
    pub(super) fn read(
        mask: Option<prost_types::FieldMask>,
        object: &str,
        ids: &[&str],
        may_change: &[&str],
    ) -> Result<Self> {
        let paths = mask.map(|mask| mask.paths).unwrap_or_default();
        let is_known =
            |path: &str| ["*", "update_mask"].contains(&path) || ids.contains(&path) || may_change.contains(&path);
        if let Some(path) = paths.iter().find(|path| !is_known(path)) {
            let fields = may_change.join(", ");
            let are = if may_change.len() == 1 {
                "field is"
            } else {
                "fields are"
            };
            return Err(Error::invalid_field(
                "update_mask",
                format!("update_mask: {path:?} is not an updatable field of {object}; the updatable {are} {fields}"),
            ));
        }
        let all = paths.iter().any(|path| path == "*");
        let fields = if all {
            Some(may_change.iter().copied().map(str::to_owned).collect())
        } else if paths.is_empty() {
            None
        } else {
            Some(paths.into_iter().collect())
        };
        Ok(Self { fields })
    }

    pub(super) fn change<T>(&self, field: &str, value: Option<T>) -> Change<T> {
        match (&self.fields, value) {
            (Some(fields), _) if !fields.contains(field) => Change::Keep,
            (Some(_), None) => Change::Clear,
            (None, None) => Change::Keep,
            (_, Some(value)) => Change::Set(value),
        }
    }

    /// The new value of a field, or `None` if it does not change. A cleared field gets its default value.
    pub(super) fn value<T: Default>(&self, field: &str, value: Option<T>) -> Option<T> {
        match self.change(field, value) {
            Change::Keep => None,
            Change::Clear => Some(T::default()),
            Change::Set(value) => Some(value),
        }
    }

    /// Like [`Mask::value`], for a list.
    pub(super) fn list<T>(&self, field: &str, values: Vec<T>) -> Option<Vec<T>> {
        self.value(field, Some(values).filter(|values| !values.is_empty()))
    }
}
