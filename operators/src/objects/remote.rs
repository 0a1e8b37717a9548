//! A place in an object store and how it is reached, from a URL and options: whatever keeps something there begins here.

use super::access::Access;
use super::address::{Address, Located};
use crate::job_error::{JobError, Location};
use crate::table::Options;

/// The place.
#[derive(Clone)]
pub(crate) struct Remote {
    pub(crate) address: Address,
    #[cfg_attr(
        not(feature = "object-store"),
        expect(
            dead_code,
            reason = "checked in every build, used in those that reach a store"
        )
    )]
    pub(crate) access: Access,
}

impl Remote {
    /// The place that a path names; None where it is one of this machine. `at` is where the path stands.
    ///
    /// # Errors
    /// For the URL of something else, for options that do not fit it, and in a build that cannot reach it.
    pub(crate) fn of(
        path: &str,
        options: &Options,
        at: Location,
    ) -> Result<Option<Self>, JobError> {
        let located = Located::read(path).map_err(|why| JobError::new(at, why))?;
        let address = match located {
            Located::Store(address) => Some(address),
            Located::Here(_) => None,
        };
        let access = Access::of(options, address.as_ref())?;
        #[cfg(not(feature = "object-store"))]
        if address.is_some() {
            return Err(JobError::new(at, super::LACKS));
        }
        Ok(address.map(|address| Self { address, access }))
    }
}
