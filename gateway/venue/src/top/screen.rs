//! The operator's page. A function of what is known of a venue, of where the reader is, and of the size.
//!
//! ```text
//!    rialto  127.0.0.1:7003   ready   …                              title
//!    ! what is wrong, in words                                       alerts, at most three lines
//!    ╭ traffic ─────────────╮╭ journal ──────────────╮               panels, in one, two or three columns; or one alone
//!    …
//!    1 all  2 traffic  3 …                                           keys
//! ```

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Paragraph};

use super::alerts::{Alert, Urgency, alerts};
use super::panels::{self, Detail, Panel};
use super::state::{Link, Venue};
use crate::admin::value::TimeText;

pub(super) const QUIET: Style = Style::new().fg(Color::DarkGray);
pub(super) const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);
const GOOD: Style = Style::new().fg(Color::Green);
const BAD: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
const WARN: Style = Style::new().fg(Color::Yellow);
/// Alerts that are shown above the panels.
const ALERTS_MAX: usize = 3;
/// Columns that one panel needs to say what it has to.
const PANEL_COLUMNS: u16 = 56;

/// Where the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    /// Nothing: all panels, as many as there is room for.
    pub(super) panel: Option<Panel>,
    /// Lines that are above the first that is seen.
    pub(super) scroll: u16,
    pub(super) paused: bool,
    pub(super) help: bool,
}

impl Place {
    /// The next page, or the one before.
    pub(super) fn turn(&mut self, forward: bool) {
        let pages = Panel::ALL.len() + 1;
        let now = self.panel.map_or(0, |panel| panel as usize + 1);
        self.go(if forward { (now + 1) % pages } else { (now + pages - 1) % pages });
    }

    /// To a page: 0 has all panels.
    pub(super) fn go(&mut self, page: usize) {
        if page <= Panel::ALL.len() {
            self.panel = page.checked_sub(1).map(|index| Panel::ALL[index]);
            self.scroll = 0;
        }
    }
}

/// Draws the page.
pub(super) fn draw(frame: &mut Frame<'_>, venue: &Venue, place: Place) {
    let wrong = alerts(venue);
    let alert_lines = u16::try_from(wrong.len().min(ALERTS_MAX)).unwrap_or(0);
    let rows = [Constraint::Length(1), Constraint::Length(alert_lines), Constraint::Min(0), Constraint::Length(1)];
    let [title, above, body, keys] = Layout::vertical(rows).areas(frame.area());
    frame.render_widget(Paragraph::new(title_line(venue, &wrong, place)), title);
    frame.render_widget(Paragraph::new(alert_lines_of(&wrong)), above);
    match place.panel {
        None => draw_all(frame, venue, &wrong, body),
        Some(panel) => draw_panel(frame, venue, &wrong, (panel, Detail::All), place.scroll, body),
    }
    frame.render_widget(Paragraph::new(key_line(place, keys.width)), keys);
    if place.help {
        draw_help(frame);
    }
}

fn title_line(venue: &Venue, wrong: &[Alert], place: Place) -> Line<'static> {
    let mut spans = vec![
        Span::styled(" rialto ", STRONG.fg(Color::Black).bg(Color::Cyan)),
        Span::raw(format!(" {}  ", venue.address)),
        match (&venue.link, venue.last()) {
            (Link::Waiting, _) => Span::styled("asking", QUIET),
            (Link::Lost(_), _) => Span::styled("no venue, looking for it", BAD),
            (Link::Up, Some(answer)) if answer.ready => Span::styled("ready", GOOD),
            (Link::Up, _) => Span::styled("not ready", BAD),
        },
    ];
    if let Some(admission) = venue.value("rialto_journal_admission").filter(|_| venue.link == Link::Up) {
        let (text, style) = panels::admission(admission);
        spans.push(Span::styled("  takes ", QUIET));
        spans.push(Span::styled(text, style));
    }
    if !matches!(venue.link, Link::Waiting) {
        let (text, style) = match wrong.len() {
            0 => ("no alerts".to_owned(), GOOD),
            1 => ("1 alert".to_owned(), WARN),
            more => (format!("{more} alerts"), WARN),
        };
        spans.push(Span::styled(format!("  {text}"), style));
    }
    if let Some(answer) = venue.last() {
        let time = TimeText(answer.time).to_string();
        let seconds = time.get(11..19).unwrap_or_default();
        spans.push(Span::styled(format!("  {seconds} UTC"), QUIET));
    }
    if venue.returns > 0 {
        let times = if venue.returns == 1 { "once".to_owned() } else { format!("{} times", venue.returns) };
        spans.push(Span::styled(format!("  came back {times}"), QUIET));
    }
    if place.paused {
        spans.push(Span::styled("  paused", WARN));
    }
    Line::from(spans)
}

fn alert_lines_of(wrong: &[Alert]) -> Vec<Line<'static>> {
    let more = wrong.len().saturating_sub(ALERTS_MAX);
    let mut lines: Vec<_> = wrong.iter().take(ALERTS_MAX).map(alert_line).collect();
    if let Some(last) = lines.last_mut().filter(|_| more > 0) {
        last.push_span(Span::styled(format!("  and {more} more"), QUIET));
    }
    lines
}

pub(super) fn alert_line(alert: &Alert) -> Line<'static> {
    let style = match alert.urgency {
        Urgency::Now => BAD,
        Urgency::Soon => WARN,
    };
    Line::styled(format!(" ! {}", alert.text), style)
}

/// As many panels as there is room for, in order, in columns of equal width.
fn draw_all(frame: &mut Frame<'_>, venue: &Venue, wrong: &[Alert], area: Rect) {
    let columns = (area.width / PANEL_COLUMNS).clamp(1, 3);
    let detail = if columns == 1 { Detail::Most } else { Detail::All };
    let areas = Layout::horizontal(vec![Constraint::Fill(1); columns.into()]).split(area);
    let width = areas[0].width.saturating_sub(2);
    let rows = |panel| {
        let lines = panels::lines(panel, venue, wrong, detail, width).len();
        u16::try_from(lines).unwrap_or(u16::MAX - 2) + 2
    };
    let shown = Panel::ALL.into_iter().filter(|panel| *panel != Panel::Alerts);
    let wanted: Vec<(Panel, u16)> = shown.map(|panel| (panel, rows(panel))).collect();
    let columns = shared_out(&wanted, columns.into(), area.height);
    for (panels, area) in columns.iter().zip(areas.iter()) {
        let rows = panels.iter().map(|&(_, rows)| Constraint::Length(rows)).chain([Constraint::Min(0)]);
        let areas = Layout::vertical(rows).split(*area);
        for ((panel, _), area) in panels.iter().zip(areas.iter()) {
            draw_panel(frame, venue, wrong, (*panel, detail), 0, *area);
        }
    }
}

/// Panels by column. Each goes where it ends highest, if it fits there at least in part; the others are on their pages.
fn shared_out(wanted: &[(Panel, u16)], columns: usize, height: u16) -> Vec<Vec<(Panel, u16)>> {
    /// A border and a line.
    const LEAST: u16 = 3;
    let mut filled = vec![0_u16; columns];
    let mut shared = vec![Vec::new(); columns];
    for &(panel, rows) in wanted {
        let Some((column, &used)) = filled.iter().enumerate().min_by_key(|(_, used)| **used) else { break };
        let left = height.saturating_sub(used);
        let least = LEAST.max(rows.min(5));
        if left >= least {
            filled[column] += rows.min(left);
            shared[column].push((panel, rows.min(left)));
        }
    }
    shared
}

fn draw_panel(
    frame: &mut Frame<'_>,
    venue: &Venue,
    wrong: &[Alert],
    (panel, detail): (Panel, Detail),
    scroll: u16,
    area: Rect,
) {
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(QUIET)
        .title(Span::styled(format!(" {} ", panel.name()), STRONG));
    let inside = block.inner(area);
    let lines = panels::lines(panel, venue, wrong, detail, inside.width);
    let seen = usize::from(inside.height);
    let first = usize::from(scroll).min(lines.len().saturating_sub(seen));
    let behind = lines.len().saturating_sub(first + seen);
    let block = if behind > 0 {
        block.title_bottom(Line::styled(format!(" {behind} more below "), QUIET).right_aligned())
    } else {
        block
    };
    frame.render_widget(block, area);
    let shown: Vec<_> = lines.into_iter().skip(first).take(seen).collect();
    frame.render_widget(Paragraph::new(shown), inside);
}

/// The pages by number; with their names where there is room.
fn key_line(place: Place, width: u16) -> Line<'static> {
    /// All names beside one another.
    const NAMED: u16 = 110;
    let mut spans = vec![Span::raw(" ")];
    let names = std::iter::once("all").chain(Panel::ALL.iter().map(|panel| panel.name()));
    let now = place.panel.map_or(0, |panel| panel as usize + 1);
    for (page, name) in names.enumerate() {
        let style = if page == now { STRONG.fg(Color::Cyan) } else { QUIET };
        let text = if page == now || width >= NAMED { format!("{page} {name}  ") } else { format!("{page}  ") };
        spans.push(Span::styled(text, style));
    }
    spans.push(Span::styled("? help q leaves", QUIET));
    Line::from(spans)
}

const HELP: [&str; 9] = [
    "q, Esc, Ctrl-C   leave",
    "p, space         pause, and go on",
    "0                all panels that there is room for",
    "1 to 8           one of them, on the whole screen",
    "Tab, Shift-Tab   the next, the one before",
    "arrows, j, k     scroll by a line",
    "PgUp, PgDn       scroll by ten lines",
    "Home             to the first line",
    "?                this, and away with it",
];

fn draw_help(frame: &mut Frame<'_>) {
    let area = frame.area();
    let (width, height) = (56.min(area.width), (HELP.len() as u16 + 2).min(area.height));
    let place = Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
    let block = Block::bordered().border_type(BorderType::Rounded).title(Span::styled(" keys ", STRONG));
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(HELP.map(|line| Line::raw(format!(" {line}"))).to_vec()).block(block), place);
}
