//! Looking things up: which files may hold what is asked for, which of their pages do, and the events in them.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::{Event, EventHeader, Sequence, Timestamp};

use super::HISTORY_FOLDER;
use super::error::{HistoryError, HistoryFault};
use super::file::{Depth, EventsFile, ListedFile, ListedPage, Walked, walk};
use super::index::Index;
use super::key::Key;
use super::page::{self, Wanted};
use super::recover::Names;
use super::state::{CompleteFile, Shared, State};
use crate::seek::Seek;
use crate::segment::JournalId;

/// In which order events are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// As they happened.
    #[default]
    Forward,
    /// The newest first.
    Backward,
}

/// Which events are asked for. By default all that are kept, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Query {
    /// Only those of this order, session, account or instrument.
    pub key: Option<Key>,
    /// Only those of this command and later ones, or of this time and later.
    pub from: Option<Seek>,
    /// Only those of this command and earlier ones, or of this time and earlier.
    pub to: Option<Seek>,
    /// In which order.
    pub direction: Direction,
}

/// A history as it is read, from any thread, by any number.
#[derive(Debug, Clone)]
pub struct History {
    shared: Arc<Shared>,
}

impl History {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The history on the disk of the data folder `directory`, without a lock, as it is now; nothing if there is none.
    /// It ends with the last whole block before anything that is not good.
    ///
    /// # Errors
    ///
    /// What the system does not let be read, or another version of the format.
    pub fn open(directory: &Path) -> Result<Option<Self>, HistoryError> {
        let folder = directory.join(HISTORY_FOLDER);
        if !folder.is_dir() {
            return Ok(None);
        }
        let mut state = State::default();
        let names = Names::read(&folder)?;
        // The disk is slow when it is asked for one thing at a time.
        names.events.iter().for_each(|number| Index::prepare(&folder.join(number.index_name())));
        for number in names.events {
            let path = folder.join(number.events_name());
            match open_file(&path, &folder.join(number.index_name())) {
                Ok(file) if file.begins().number == number && follows(&state, &file) => {
                    state.last = file.sequences().1;
                    state.complete.push(file);
                }
                Ok(_) | Err(HistoryError::Damaged { .. }) => break,
                // Removed since the folder was read: what is kept begins later.
                Err(HistoryError::Io { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound && state.complete.is_empty() => {}
                Err(error) => return Err(error),
            }
        }
        Ok((!state.complete.is_empty()).then(|| Self::new(Arc::new(Shared::new(state)))))
    }

    /// Whose history this is; nothing if it has no files.
    pub fn journal(&self) -> Option<JournalId> {
        let state = self.shared.read();
        let complete = state.complete.first().map(|file| file.begins().journal);
        complete.or(state.growing.as_ref().map(|file| file.header.journal))
    }

    /// The first command whose events are kept.
    pub fn first(&self) -> Sequence {
        self.shared.read().first()
    }

    /// The last command whose events are kept; none if there is none.
    pub fn last(&self) -> Sequence {
        self.shared.read().last
    }

    /// The events that are asked for, in order, from somewhere before the first that does not stand before a place on,
    /// without reading what is far before it.
    ///
    /// `stands` says where an event stands; none: by itself it does not tell. Those that tell ascend. What tells nothing
    /// is looked over at the cost of reading it, once.
    ///
    /// # Errors
    ///
    /// What kept it from being read.
    pub fn events_near(
        &self,
        query: &Query,
        stands: impl Fn(&Event) -> Option<Ordering>,
    ) -> Result<Events, HistoryError> {
        let mut events = Events::begin(&self.shared.read(), &Query { direction: Direction::Forward, ..*query });
        events.prepare();
        events.pass_over(&stands)?;
        Ok(events)
    }

    /// The events that are asked for, as far as they are kept now.
    ///
    /// If the beginning that is asked for is no longer kept, the only item is an error that says so.
    pub fn events(&self, query: &Query) -> Events {
        let events = Events::begin(&self.shared.read(), query);
        events.prepare();
        events
    }
}

/// A file as far as it is good, by its index if that can be used.
fn open_file(path: &Path, index: &Path) -> Result<CompleteFile, HistoryError> {
    let length = EventsFile::open(path)?.length()?;
    if let Ok(Ok(index)) = Index::open(index)
        && index.header.length == length
    {
        return Ok(CompleteFile::Indexed { path: path.to_owned(), index: Arc::new(index) });
    }
    Ok(CompleteFile::Listed(Arc::new(walk(path, Depth::Headers)?.file)))
}

/// Whether a file goes on where the ones before it end.
fn follows(state: &State, file: &CompleteFile) -> bool {
    state.complete.last().is_none_or(|before| before.next() == file.begins())
}

/// Events that were asked for: an iterator that reads a page at a time, and ends behind an error.
pub struct Events {
    wanted: Wanted,
    direction: Direction,
    /// What was not looked at yet, in the order in which it is.
    parts: VecDeque<Part>,
    pages: Option<Pages>,
    /// Of the last page, in the order in which they are asked for.
    events: VecDeque<(EventHeader, Event)>,
    failure: Option<HistoryError>,
}

enum Part {
    File(CompleteFile),
    Pages(Pages),
    Filling(Vec<u8>),
}

impl Part {
    /// Its pages, once they are listed; none: it is a page that is not full yet.
    fn pages(&mut self, wanted: &Wanted) -> Result<Option<&mut Pages>, HistoryError> {
        if let Self::File(file) = self {
            *self = Self::Pages(Pages::of_complete(file, wanted)?);
        }
        match self {
            Self::Pages(pages) => Ok(Some(pages)),
            Self::File(_) | Self::Filling(_) => Ok(None),
        }
    }

    /// What the first of its pages tells that tells anything.
    fn tells<T>(
        &mut self,
        wanted: &Wanted,
        tells: impl Fn(Vec<(EventHeader, Event)>) -> Option<T>,
    ) -> Result<Option<T>, HistoryError> {
        if let Self::Filling(bytes) = self {
            return Ok(tells(page::decode(bytes).expect("what was encoded decodes")));
        }
        let Some(pages) = self.pages(wanted)? else { return Ok(None) };
        for number in 0..pages.places.len() {
            if let Some(told) = tells(pages.read(number)?) {
                // It may be one of many that are looked at.
                pages.file = None;
                return Ok(Some(told));
            }
        }
        pages.file = None;
        Ok(None)
    }
}

/// The number of the last of `count` things in order that begins at or before a place, 0 if none does. One that does not
/// tell where it begins counts as the next that does.
fn last_at_or_before(
    count: usize,
    mut begins: impl FnMut(usize) -> Result<Option<Ordering>, HistoryError>,
) -> Result<usize, HistoryError> {
    let (mut before, mut behind) = (0, count);
    while behind - before > 1 {
        let middle = before + (behind - before) / 2;
        let mut told = None;
        for number in middle..behind {
            if let Some(place) = begins(number)? {
                told = Some((number, place));
                break;
            }
        }
        match told {
            Some((number, Ordering::Less | Ordering::Equal)) => before = number,
            Some((_, Ordering::Greater)) | None => behind = middle,
        }
    }
    Ok(before)
}

/// Pages of one file that hold something, in the order in which they are asked for.
struct Pages {
    path: PathBuf,
    file: Option<EventsFile>,
    places: VecDeque<Place>,
}

/// Where a page is.
#[derive(Clone)]
enum Place {
    Disk { offset: u64, number: u32, sequences: (Sequence, Sequence) },
    Memory(Arc<ListedPage>),
}

impl Events {
    fn begin(state: &State, query: &Query) -> Self {
        let wanted = wanted(state, query);
        let mut parts: VecDeque<Part> = state
            .complete
            .iter()
            .filter(|file| file.times().is_some_and(|times| wanted.meets(file.sequences(), times)))
            .map(|file| Part::File(file.clone()))
            .collect();
        if let Some(file) = &state.growing {
            parts.push_back(Part::Pages(Pages::of_listed(file, &wanted)));
        }
        if !state.filling.is_empty() {
            parts.push_back(Part::Filling(state.filling.clone()));
        }
        let failure = is_gone(state, query).then(|| HistoryError::Gone { first: state.first() });
        Self { wanted, direction: query.direction, parts, pages: None, events: VecDeque::new(), failure }
    }

    /// Lets the disk fetch from all files at once what the search will look at in one after the other.
    fn prepare(&self) {
        let Some(key) = self.wanted.key else { return };
        for part in &self.parts {
            if let Part::File(CompleteFile::Indexed { index, .. }) = part {
                index.prepare_leaf_of(key);
            }
        }
    }

    /// Passes over what stands before a place: parts first, then pages of the part in which it must be.
    fn pass_over(&mut self, stands: &impl Fn(&Event) -> Option<Ordering>) -> Result<(), HistoryError> {
        let Self { parts, wanted, .. } = self;
        let wanted = &*wanted;
        let tells = |events: Vec<(EventHeader, Event)>| {
            let mut events = events.iter().filter(|(header, event)| wanted.includes(header, event));
            events.find_map(|(_, event)| stands(event))
        };
        let part = last_at_or_before(parts.len(), |number| parts[number].tells(wanted, tells))?;
        parts.drain(..part);
        if let Some(part) = parts.front_mut()
            && let Some(pages) = part.pages(wanted)?
        {
            let page = last_at_or_before(pages.places.len(), |number| Ok(tells(pages.read(number)?)))?;
            pages.places.drain(..page);
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<Option<(EventHeader, Event)>, HistoryError> {
        loop {
            let event = match self.direction {
                Direction::Forward => self.events.pop_front(),
                Direction::Backward => self.events.pop_back(),
            };
            if event.is_some() {
                return Ok(event);
            }
            let Some(events) = self.next_page()? else { return Ok(None) };
            self.events = events.into_iter().filter(|(header, event)| self.wanted.includes(header, event)).collect();
        }
    }

    fn next_page(&mut self) -> Result<Option<Vec<(EventHeader, Event)>>, HistoryError> {
        loop {
            if let Some(pages) = &mut self.pages
                && let Some(events) = pages.next(self.direction)?
            {
                return Ok(Some(events));
            }
            let part = match self.direction {
                Direction::Forward => self.parts.pop_front(),
                Direction::Backward => self.parts.pop_back(),
            };
            match part {
                None => return Ok(None),
                Some(Part::File(file)) => self.pages = Some(Pages::of_complete(&file, &self.wanted)?),
                Some(Part::Pages(pages)) => self.pages = Some(pages),
                Some(Part::Filling(bytes)) => {
                    self.pages = None;
                    return Ok(Some(page::decode(&bytes).expect("what was encoded decodes")));
                }
            }
        }
    }
}

impl Iterator for Events {
    type Item = Result<(EventHeader, Event), HistoryError>;

    fn next(&mut self) -> Option<Self::Item> {
        let outcome = match self.failure.take() {
            Some(failure) => Err(failure),
            None => self.advance(),
        };
        if outcome.is_err() {
            self.parts.clear();
            self.pages = None;
        }
        outcome.transpose()
    }
}

impl Pages {
    fn of_complete(file: &CompleteFile, wanted: &Wanted) -> Result<Self, HistoryError> {
        match file {
            CompleteFile::Listed(file) => Ok(Self::of_listed(file, wanted)),
            CompleteFile::Indexed { path, index } => match Self::of_indexed(path, index, wanted) {
                Ok(pages) => Ok(pages),
                // The events are enough; finding them takes longer.
                Err(_) => Self::of_walked(path, index, wanted),
            },
        }
    }

    fn of_listed(file: &ListedFile, wanted: &Wanted) -> Self {
        let has_key = |page: &ListedPage| wanted.key.is_none_or(|key| page.keys.binary_search(&key).is_ok());
        let pages = file.pages.iter().filter(|page| wanted.meets(page.sequences(), page.times()) && has_key(page));
        let places = pages
            .map(|page| match page.unwritten {
                Some(_) => Place::Memory(page.clone()),
                None => {
                    let (offset, number, sequences) = (page.offset, page.header.number, page.sequences());
                    Place::Disk { offset, number, sequences }
                }
            })
            .collect();
        Self { path: file.path.clone(), file: None, places }
    }

    fn of_indexed(path: &Path, index: &Index, wanted: &Wanted) -> Result<Self, HistoryFault> {
        let Wanted { sequences, times, .. } = *wanted;
        let earlier = index.count_while(|page| page.sequences.1 < sequences.0)?;
        // The page before the first one of that time may end with it.
        let earlier = earlier.max(index.count_while(|page| page.first_time < times.0)?.saturating_sub(1));
        let end = index.count_while(|page| page.sequences.0 <= sequences.1 && page.first_time <= times.1)?;
        let numbers = match wanted.key {
            Some(key) => index.pages_of(key)?,
            None => (earlier..end).collect(),
        };
        let in_range = numbers.into_iter().filter(|number| (earlier..end).contains(number));
        let places = in_range.map(|number| {
            let entry = index.page(number)?;
            Ok(Place::Disk { offset: entry.offset, number, sequences: entry.sequences })
        });
        Ok(Self { path: path.to_owned(), file: None, places: places.collect::<Result<_, _>>()? })
    }

    fn of_walked(path: &Path, index: &Index, wanted: &Wanted) -> Result<Self, HistoryError> {
        let Walked { file, fault, .. } = walk(path, Depth::Headers)?;
        match fault {
            Some(fault) => Err(fault),
            None if file.last < index.header.last => {
                Err(HistoryError::Damaged { file: path.to_owned(), offset: file.end, fault: HistoryFault::FileEnds })
            }
            None => Ok(Self::of_listed(&file, wanted)),
        }
    }

    fn next(&mut self, direction: Direction) -> Result<Option<Vec<(EventHeader, Event)>>, HistoryError> {
        let place = match direction {
            Direction::Forward => self.places.pop_front(),
            Direction::Backward => self.places.pop_back(),
        };
        place.map(|place| self.events(&place)).transpose()
    }

    /// The events of one of the pages that were not handed out yet.
    fn read(&mut self, number: usize) -> Result<Vec<(EventHeader, Event)>, HistoryError> {
        let place = self.places[number].clone();
        self.events(&place)
    }

    fn events(&mut self, place: &Place) -> Result<Vec<(EventHeader, Event)>, HistoryError> {
        match place {
            Place::Disk { offset, number, sequences } => {
                let file = match self.file.take() {
                    Some(file) => file,
                    None => EventsFile::open(&self.path)?,
                };
                self.file.insert(file).events(*offset, *number, *sequences)
            }
            Place::Memory(page) => Ok(page.events()),
        }
    }
}

fn wanted(state: &State, query: &Query) -> Wanted {
    let mut wanted =
        Wanted { key: query.key, sequences: (Sequence(1), state.last), times: (Timestamp::NONE, Timestamp::NEVER) };
    match query.from {
        Some(Seek::Sequence(sequence)) => wanted.sequences.0 = sequence.max(Sequence(1)),
        Some(Seek::Time(time)) => wanted.times.0 = time,
        None => {}
    }
    match query.to {
        Some(Seek::Sequence(sequence)) => wanted.sequences.1 = sequence.min(state.last),
        Some(Seek::Time(time)) => wanted.times.1 = time,
        None => {}
    }
    wanted
}

/// Whether a beginning is asked for that is no longer kept.
fn is_gone(state: &State, query: &Query) -> bool {
    let first = state.first();
    if first <= Sequence(1) {
        return false;
    }
    match query.from {
        None => false,
        Some(Seek::Sequence(sequence)) => sequence < first,
        Some(Seek::Time(time)) => {
            state.complete.iter().find_map(CompleteFile::times).is_none_or(|(kept_from, _)| time < kept_from)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that up to seven things in order can tell.
    fn courses() -> Vec<Vec<Option<Ordering>>> {
        let mut courses = vec![vec![]];
        let mut longest = courses.clone();
        for _ in 0..7 {
            let longer = longest.iter().flat_map(|course: &Vec<Option<Ordering>>| {
                let told = course.iter().flatten().max().copied().unwrap_or(Ordering::Less);
                let next = [None, Some(Ordering::Less), Some(Ordering::Equal), Some(Ordering::Greater)];
                let ascends = move |next: &Option<Ordering>| {
                    next.is_none_or(|next| next > told || next == told && next != Ordering::Equal)
                };
                next.into_iter().filter(ascends).map(|next| [&course[..], &[next]].concat())
            });
            longest = longer.collect();
            courses.extend(longest.iter().cloned());
        }
        courses
    }

    #[test]
    fn the_last_that_begins_at_or_before_a_place_is_found_and_nothing_is_looked_at_twice() {
        for course in courses() {
            let mut looked_at = vec![0; course.len()];
            let found = last_at_or_before(course.len(), |number| {
                looked_at[number] += 1;
                Ok(course[number])
            });
            let expected = course.iter().rposition(|told| told.is_some_and(|told| told != Ordering::Greater));
            assert_eq!(found.unwrap(), expected.unwrap_or(0), "{course:?}");
            assert!(looked_at.iter().all(|&times| times <= 1), "{course:?}");
        }
    }
}
