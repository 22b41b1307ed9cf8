//! What a running node takes from dynamic settings: its own configuration with them on top, and of that what each
//! part goes by.
//!
//! Trap avoided: a setting that a part does not go by must not disturb it, so a part is told only what differs.

use std::num::NonZeroU32;
use std::sync::Arc;

use tokio::sync::watch;
use volery_config::settings::applied;
use volery_gateway::Rates;
use volery_messaging::core::pace::Rate;
use volery_node::config::Config;
use volery_ports::cluster::Settings;

/// What `pick` takes of the configuration in force, now and from now on; followed until nobody looks at it.
pub(crate) fn in_force<T: PartialEq + Send + Sync + 'static>(
    config: &Config,
    mut settings: watch::Receiver<Arc<Settings>>,
    pick: fn(&Config) -> T,
) -> watch::Receiver<T> {
    let config = config.clone();
    let (tell, told) = watch::channel(pick(&applied(&config, &settings.borrow_and_update())));
    tokio::spawn(async move {
        while next(&mut settings, &tell).await {
            let newest = pick(&applied(&config, &settings.borrow_and_update()));
            tell.send_if_modified(|now| {
                let differs = *now != newest;
                *now = newest;
                differs
            });
        }
    });
    told
}

/// Whether there are other settings; false once nobody tells or nobody looks.
async fn next<T>(settings: &mut watch::Receiver<Arc<Settings>>, tell: &watch::Sender<T>) -> bool {
    tokio::select! {
        changed = settings.changed() => changed.is_ok(),
        () = tell.closed() => false,
    }
}

/// How fast a session may send.
pub(crate) fn send_rate(config: &Config) -> Rate {
    Rate { per_second: config.messaging_sends_per_second, burst: config.messaging_sends_burst }
}

/// How often somebody may try at the gateway.
pub(crate) fn gateway_rates(config: &Config) -> Rates {
    let often = |times| NonZeroU32::new(times).unwrap_or(NonZeroU32::MIN);
    Rates {
        logins_per_minute: often(config.accounts_logins_per_minute),
        logins_per_minute_address: often(config.accounts_logins_per_minute_address),
        registrations_per_hour_address: often(config.accounts_registrations_per_hour_address),
        refreshes_per_minute_address: often(config.accounts_refreshes_per_minute_address),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use volery_config::settings::{listed, names};
    use volery_kernel::time::Timestamp;
    use volery_node::config::{Sources, load};
    use volery_ports::cluster::Setting;

    use super::*;

    fn set(name: &str, value: &str, version: u64) -> Arc<Settings> {
        let (name, value) = (name.to_owned(), Some(value.to_owned()));
        Arc::new(listed(vec![Setting { name, value, version, by: "ada".to_owned(), at: Timestamp(1) }]))
    }

    fn config() -> Config {
        load(&Sources::default()).expect("a configuration").config
    }

    #[test]
    fn every_dynamic_setting_is_one_that_a_part_goes_by() {
        let own = config();
        for name in names() {
            let other = applied(&own, &set(name, "123", 1));
            let told = (send_rate(&other), gateway_rates(&other)) != (send_rate(&own), gateway_rates(&own));
            assert!(told, "{name} is taken and does nothing");
        }
    }

    #[tokio::test]
    async fn a_part_is_told_what_it_goes_by_and_nothing_else() {
        let (tell, settings) = watch::channel(Arc::default());
        let (mut rate, mut rates) =
            (in_force(&config(), settings.clone(), send_rate), in_force(&config(), settings, gateway_rates));
        assert_eq!(rate.borrow_and_update().per_second, 50);
        tell.send_replace(set("accounts.logins_per_minute", "7", 1));
        let seven = rates.wait_for(|rates| rates.logins_per_minute.get() == 7);
        tokio::time::timeout(Duration::from_secs(20), seven).await.expect("in time").expect("told");
        tell.send_replace(set("messaging.sends_per_second", "20", 2));
        tokio::time::timeout(Duration::from_secs(20), rate.changed()).await.expect("in time").expect("told");
        assert_eq!(*rate.borrow_and_update(), Rate { per_second: 20, burst: 200 }, "the first thing that it is told");
        drop((rate, rates));
        tell.closed().await;
    }
}
