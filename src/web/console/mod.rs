//! The officers' console. Pages of a world stand below the world's own address, and their handlers are typed by it: what is
//! loaded as live cannot be shown or acted on as an exercise.

mod acts;
mod alert;
mod compose;
mod devices;
mod diff;
mod duty;
mod ends;
mod live;
mod me;
mod organisations;
mod outlets;
mod people;
mod preview;
mod queue;
mod record;
mod refused;
mod sources;
mod stages;
mod told;
mod why;

use axum::Router;
use axum::routing::{get, post};

pub(super) use acts::reason;
pub(super) use alert::confirms;
pub(super) use live::{Live, Watchers};
pub(super) use queue::{Sorted, sorted};
pub(super) use told::Tallies;

use super::site::Site;
use crate::world::{Exercise, Live as LiveWorld, World};

/// Every page of the console.
pub(super) fn router() -> Router<Site> {
    Router::new()
        .merge(of_world::<LiveWorld>())
        .merge(of_world::<Exercise>())
        .route("/console/record", get(record::show))
        .route("/console/record.csv", get(record::export))
        .route("/console/sources", get(sources::show))
        .route("/console/outlets", get(outlets::show))
        .route("/console/duty", get(duty::show))
        .route("/console/duty/test", post(duty::test))
        .route("/console/duty/override", post(duty::stand_in))
        .route("/console/duty/rotation", post(duty::rotation))
        .route("/console/duty/{what}/{id}/end", post(duty::end))
        .route("/console/people", get(people::show).post(people::invite))
        .route("/console/people/{id}/role", post(people::role))
        .route("/console/people/{id}/active", post(people::active))
        .route("/console/people/{id}/invite", post(people::invite_again))
        .route("/console/people/{id}/tie", post(people::tie))
        .route("/console/people/proposals/{id}", post(people::decide))
        .route("/console/devices", get(devices::show).post(devices::put))
        .route("/console/devices/import", post(devices::import))
        .route("/console/devices/{id}/{act}", post(devices::act))
        .route("/console/organisations", get(organisations::list).post(organisations::put))
        .route("/console/organisations/import", post(organisations::import))
        .route("/console/organisations/{code}", get(organisations::one))
        .route("/console/organisations/{code}/{act}", post(organisations::act))
        .route("/console/me", get(me::show))
        .route("/console/me/addresses", post(me::addresses))
        .route("/console/me/push", post(me::push))
        .route("/console/me/push/end", post(me::push_end))
        .route("/console/me/language", post(me::language))
        .route("/console/me/tokens", post(me::ask_token))
        .route("/console/me/tokens/end", post(me::end_token))
}

fn of_world<W: World>() -> Router<Site> {
    let at = |path: &str| format!("{}{path}", W::BASE);
    Router::new()
        .route(W::BASE, get(queue::show::<W>))
        .route(&at("/queue"), get(queue::list::<W>))
        .route(&at("/events"), get(live::queue_events::<W>))
        .route(&at("/alerts"), get(queue::search::<W>))
        .route(&at("/alerts/{id}"), get(alert::show::<W>))
        .route(&at("/alerts/{id}/times.csv"), get(stages::csv::<W>))
        .route(&at("/alerts/{id}/live"), get(live::show::<W>))
        .route(&at("/alerts/{id}/events"), get(live::alert_events::<W>))
        .route(&at("/alerts/{id}/told"), get(told::show::<W>))
        .route(&at("/alerts/{id}/missed"), post(told::missed::<W>))
        .route(&at("/alerts/{id}/stop"), post(acts::stop::<W>))
        .route(&at("/alerts/{id}/resume"), post(acts::resume::<W>))
        .route(&at("/alerts/{id}/correct"), post(acts::correct::<W>))
        .route(&at("/alerts/{id}/resend"), post(acts::resend::<W>))
        .route(&at("/escalations/{id}/{act}"), get(acts::ask::<W>).post(acts::act::<W>))
        .route(&at("/compose"), get(compose::drafts::<W>))
        .route(&at("/compose/new"), get(compose::fresh::<W>))
        .route(&at("/compose/check"), post(compose::check::<W>))
        .route(&at("/compose/{id}"), get(compose::edit::<W>))
        .route(&at("/compose/{id}/{act}"), post(compose::act::<W>))
}
