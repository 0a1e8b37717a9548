//! What a thread scores with: one session of each version in force, shared by all lanes on the thread.

use std::cell::RefCell;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Instant;

use thalweg_engine::record::{Position, RecordMeta};

use super::Model;
use super::edition::Edition;
use super::pace::Pace;
use super::runtime::Scorer;
use super::shelf::Lineup;

thread_local! {
    static DESKS: RefCell<Vec<Desk>> = const { RefCell::new(Vec::new()) };
}

/// A version and this thread's session of it.
pub(super) struct Seat {
    pub(super) edition: Arc<Edition>,
    pub(super) scorer: Scorer,
    /// How long its runs take: another version begins anew.
    pub(super) pace: Pace,
    /// Whether it is of a version beside the active one.
    pub(super) second: bool,
}

/// Which record is being scored: all that is asked about one is answered by one line-up.
struct Pin {
    taken: Instant,
    position: Position,
}

/// The desk of one model.
pub(super) struct Desk {
    model: Weak<Model>,
    id: u64,
    number: u64,
    pub(super) lineup: Arc<Lineup>,
    active: Seat,
    canary: Option<Seat>,
    /// Where rows ask it.
    pub(super) shadow: Option<Seat>,
    pin: Option<Pin>,
    /// What one of the two has answered that are compared, until the other has.
    half: Option<Half>,
}

/// One of two answers that are compared.
#[derive(Clone, Copy)]
pub(super) enum Half {
    /// The score that counts.
    Score(f64),
    /// The shadow's.
    Shadow(f64),
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Some(model) = self.model.upgrade() {
            model.shelf.threads.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Works at the desk of this thread, with the line-up for this record.
///
/// # Errors
/// When there is no version in force, or no session of it.
#[inline]
pub(super) fn at<T>(
    model: &Arc<Model>,
    meta: &RecordMeta,
    work: impl FnOnce(&mut Desk) -> Result<T, String>,
) -> Result<T, String> {
    DESKS.with_borrow_mut(|desks| {
        let found = desks.iter().position(|desk| desk.id == model.id);
        let place = match found {
            Some(place) => place,
            None => {
                desks.retain(|desk| desk.model.strong_count() > 0);
                desks.push(Desk::new(model)?);
                desks.len() - 1
            }
        };
        let desk = &mut desks[place];
        desk.turn_to(model, meta)?;
        work(desk)
    })
}

impl Seat {
    fn new(edition: &Arc<Edition>, second: bool) -> Result<Self, String> {
        let (scorer, pace) = (edition.scorer()?, Pace::default());
        edition.paced(pace.shown());
        Ok(Self {
            scorer,
            edition: Arc::clone(edition),
            pace,
            second,
        })
    }
}

/// A session of a version beside the active one, where there is such a version.
fn beside(edition: Option<&Arc<Edition>>) -> Result<Option<Seat>, String> {
    edition.map(|edition| Seat::new(edition, true)).transpose()
}

/// The shadow of a line-up, where rows ask it themselves.
fn asked(lineup: &Lineup) -> Option<&Arc<Edition>> {
    lineup.shadow.as_ref().filter(|_| lineup.aside.is_none())
}

/// Takes a session of the version in force beside the active one.
fn reseat(
    seat: &mut Option<Seat>,
    edition: Option<&Arc<Edition>>,
    model: &Model,
) -> Result<(), String> {
    let seated = seat.as_ref().map(|seat| seat.edition.number);
    if seated != edition.map(|edition| edition.number) {
        let new = beside(edition)?;
        if let Some(old) = std::mem::replace(seat, new) {
            model.shelf.retire(old.scorer);
        }
    }
    Ok(())
}

impl Desk {
    /// The version for a record, whose key is the canary's or not.
    #[inline]
    pub(super) fn seat(&mut self, canary: bool) -> &mut Seat {
        match &mut self.canary {
            Some(seat) if canary => seat,
            _ => &mut self.active,
        }
    }

    /// One of the two has answered: both, where the other has already.
    #[inline]
    pub(super) fn met(&mut self, half: Half) -> Option<(f64, f64)> {
        match (half, self.half.take()) {
            (Half::Score(score), Some(Half::Shadow(shadow)))
            | (Half::Shadow(shadow), Some(Half::Score(score))) => Some((score, shadow)),
            (half, _) => {
                self.half = Some(half);
                None
            }
        }
    }

    fn new(model: &Arc<Model>) -> Result<Self, String> {
        let Some((lineup, number)) = model.shelf.take() else {
            return Err("is not loaded yet".to_owned());
        };
        let desk = Self {
            model: Arc::downgrade(model),
            id: model.id,
            number,
            active: Seat::new(&lineup.active, false)?,
            canary: beside(lineup.canary.as_ref())?,
            shadow: beside(asked(&lineup)).unwrap_or_default(),
            lineup,
            pin: None,
            half: None,
        };
        model.shelf.threads.fetch_add(1, Ordering::Relaxed);
        Ok(desk)
    }

    /// Takes the newest line-up, unless something about this record was answered by the one before.
    #[inline]
    fn turn_to(&mut self, model: &Model, meta: &RecordMeta) -> Result<(), String> {
        let same = self
            .pin
            .as_ref()
            .is_some_and(|pin| pin.taken == meta.taken && pin.position == meta.position);
        if same {
            return Ok(());
        }
        self.pin = Some(Pin {
            taken: meta.taken,
            position: meta.position.clone(),
        });
        self.half = None;
        if model.shelf.number() == self.number {
            return Ok(());
        }
        self.renew(model)
    }

    fn renew(&mut self, model: &Model) -> Result<(), String> {
        let Some((lineup, number)) = model.shelf.take() else {
            return Ok(());
        };
        if self.active.edition.number != lineup.active.number {
            let old = std::mem::replace(&mut self.active, Seat::new(&lineup.active, false)?);
            model.shelf.retire(old.scorer);
        }
        reseat(&mut self.canary, lineup.canary.as_ref(), model)?;
        // Without a session it does not answer, and nothing depends on it.
        if reseat(&mut self.shadow, asked(&lineup), model).is_err() {
            self.shadow = None;
        }
        (self.lineup, self.number) = (lineup, number);
        Ok(())
    }
}
