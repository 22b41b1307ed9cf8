//! Layers, mistakes and origins, on texts: no file and no environment is touched.

use super::*;

fn file(text: &str) -> Sources {
    Sources { file: Some(("volery.toml".into(), text.to_owned())), ..Sources::default() }
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn mistakes(sources: &Sources) -> Vec<String> {
    let Mistakes(all) = load(sources).expect_err("there are mistakes");
    all.iter().map(|mistake| format!("{}: {}", mistake.origin, mistake.text)).collect()
}

#[test]
fn defaults_are_right_by_themselves() {
    let loaded = load(&Sources::default()).expect("the defaults hold");
    assert_eq!(loaded.config.gateway_listen.port(), 8400);
    assert_eq!(loaded.config.log_partitions, 16);
    assert_eq!(loaded.config.messaging_public_url, None);
    assert_eq!(loaded.config.log_segment_bytes, Size(64 << 20));
}

#[test]
fn later_layers_win_and_each_value_knows_its_origin() {
    let text = "[messaging]\nthreads = 1\nsends_burst = 300\n[log]\npartitions = 8\n";
    let sources = Sources {
        env: vec![pair("VOLERY_MESSAGING_THREADS", "2"), pair("VOLERY_LOG_PARTITIONS", "4"), pair("HOME", "x")],
        flags: vec![pair("messaging-threads", "3"), pair("messaging.threads", "5")],
        ..file(text)
    };
    let loaded = load(&sources).expect("no mistakes");
    let config = &loaded.config;
    assert_eq!((config.messaging_threads, config.log_partitions, config.messaging_sends_burst), (5, 4, 300));
    let origin = |name| loaded.effective().find(|(key, ..)| key.name == name).map(|(.., origin)| origin.clone());
    assert_eq!(origin("messaging.threads"), Some(Origin::Flag("messaging.threads".into())));
    assert_eq!(origin("log.partitions"), Some(Origin::Env("VOLERY_LOG_PARTITIONS".into())));
    assert_eq!(origin("messaging.sends_burst"), Some(Origin::File { path: "volery.toml".into(), line: 3 }));
    assert_eq!(origin("data.dir"), Some(Origin::Default));
}

#[test]
fn all_mistakes_come_at_once_each_with_its_place() {
    let text = "[gateway]\nlisten = 8400\nlistn = \"127.0.0.1:1\"\n[log]\nsegment_bytes = \"64MB\"\npartitions = [1]\n";
    let sources = Sources {
        env: vec![pair("VOLERY_MESSAGING_THREAD", "2"), pair("VOLERY_SHUTDOWN_DEADLINE_MS", "-1")],
        flags: vec![pair("log-max-byte", "0"), pair("telemetry.format", "xml"), pair("telemetry.filter", "a=b=c")],
        ..file(text)
    };
    let found = mistakes(&sources);
    let expected = [
        "volery.toml:3: there is no key `gateway.listn`: did you mean `gateway.listen`?",
        "volery.toml:6: log.partitions: give one value, not a list",
        "environment VOLERY_MESSAGING_THREAD: there is no key `VOLERY_MESSAGING_THREAD`: did you mean `VOLERY_MESSAGING_THREADS`?",
        "flag --log-max-byte: there is no key `log-max-byte`: did you mean `log-max-bytes`?",
        "volery.toml:2: gateway.listen: `8400` is not an address",
        "volery.toml:5: log.segment_bytes: `64MB` is not a size",
        "flag --telemetry.filter: telemetry.filter: `a=b=c` is not a filter",
        "flag --telemetry.format: telemetry.format: `xml` is neither",
        "environment VOLERY_SHUTDOWN_DEADLINE_MS: shutdown.deadline_ms: `-1` is not a whole number",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\nis not\n{expected}");
    }
}

#[test]
fn a_syntax_error_names_its_line_and_hides_nothing_else() {
    let sources = Sources { flags: vec![pair("log.partitions", "0")], ..file("[log]\npartitions == 3\n") };
    let found = mistakes(&sources);
    assert!(found[0].starts_with("volery.toml:2: this is not TOML"), "{found:?}");
    assert!(found[1].contains("0 is out of range: give 1 to 16384"), "{found:?}");
}

#[test]
fn values_that_contradict_each_other_are_refused() {
    let flags = [("messaging.listen", "127.0.0.1:8400"), ("messaging.sends_burst", "10"), ("log.max_bytes", "1MiB")];
    let sources = Sources { flags: flags.map(|(name, value)| pair(name, value)).to_vec(), ..Sources::default() };
    let found = mistakes(&sources);
    assert_eq!(found.len(), 3, "{found:#?}");
    for (name, _) in flags {
        assert!(found.iter().any(|mistake| mistake.starts_with(&format!("flag --{name}: {name}: "))), "{found:#?}");
    }
}

#[test]
fn two_doors_on_port_0_take_two_ports() {
    let flags = vec![pair("gateway.listen", "127.0.0.1:0"), pair("messaging.listen", "127.0.0.1:0")];
    assert!(load(&Sources { flags, ..Sources::default() }).is_ok());
}

#[test]
fn public_urls_take_their_schemes_only() {
    let take = |url: &str| {
        let flags = vec![pair("messaging.public_url", url)];
        load(&Sources { flags, ..Sources::default() }).map(|loaded| loaded.config.messaging_public_url)
    };
    assert_eq!(take("wss://chat.example.org/"), Ok(Some(PublicUrl("wss://chat.example.org".into()))));
    assert!(take("https://chat.example.org").is_err());
    assert!(take("ws://").is_err());
}

#[test]
fn variables_that_kubernetes_injects_are_no_mistakes() {
    let env = vec![
        pair("VOLERY_GATEWAY_SERVICE_HOST", "10.0.0.1"),
        pair("VOLERY_GATEWAY_PORT", "tcp://10.0.0.1:8400"),
        pair("VOLERY_GATEWAY_PORT_8400_TCP_ADDR", "10.0.0.1"),
        pair("VOLERY_CONFIG", "volery.toml"),
    ];
    assert!(load(&Sources { env, ..Sources::default() }).is_ok());
}

#[test]
fn sizes_are_read_in_every_unit() {
    let read = |text| Size::read(text, &Bounds::Any);
    assert_eq!(read("65_536"), Ok(Size(65_536)));
    assert_eq!(read("1 KiB"), Ok(Size(1_024)));
    assert_eq!(read("2TiB"), Ok(Size(2 << 40)));
    for bad in ["", "KiB", "1kb", "99999999999TiB", "1.5GiB"] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_reference_names_every_key_in_all_its_spellings() {
    let page = reference();
    for key in keys() {
        for spelling in [key.name.to_owned(), key.env(), key.flag(), key.doc.to_owned()] {
            assert!(page.contains(&spelling), "{spelling}");
        }
    }
}

#[test]
fn a_filter_compiles_no_regular_expression() {
    let expensive = format!("info,a[b{{c={}}}]=debug", r"\w".repeat(1_000));
    let loaded = load(&Sources { flags: vec![pair("telemetry.filter", &expensive)], ..Sources::default() });
    assert_eq!(loaded.map(|loaded| loaded.config.telemetry_filter), Ok(Filter(expensive)));
}

#[test]
fn nodes_are_urls_with_a_port_all_by_tls_or_none() {
    let nodes = |text: &str| load(&Sources { flags: vec![pair("accounts.nodes", text)], ..Sources::default() });
    let two = nodes("http://10.0.0.1:8412, http://[::1]:8412").expect("good").config.accounts_nodes;
    assert_eq!(two, Some(Nodes(vec!["http://10.0.0.1:8412".into(), "http://[::1]:8412".into()])));
    for bad in ["10.0.0.1:8412", "http://host", "http://host:0", "http://host:1/x", "ftp://host:1", "http://:1", ","] {
        let Mistakes(all) = nodes(bad).expect_err(bad);
        assert!(all[0].text.starts_with("accounts.nodes: `"), "{bad}: {}", all[0].text);
    }
    let Mistakes(mixed) = nodes("http://a:1,https://b:1").expect_err("mixed");
    assert!(mixed[0].text.contains("all or none"), "{}", mixed[0].text);
}

#[test]
fn tls_between_roles_is_whole_or_not_there() {
    let keys = [("rpc.tls_ca", "ca.pem"), ("rpc.tls_cert", "cert.pem"), ("rpc.tls_key", "key.pem")];
    let judged = |flags: &[(&str, &str)]| {
        let flags = flags.iter().map(|(key, value)| pair(key, value)).collect();
        load(&Sources { flags, ..Sources::default() }).map(drop).map_err(|Mistakes(all)| all.len())
    };
    assert_eq!(judged(&keys), Ok(()));
    assert_eq!((judged(&keys[..1]), judged(&keys[1..])), (Err(2), Err(1)), "each that is missing is named");
    let with = |nodes| judged(&[keys.as_slice(), &[("idgen.nodes", nodes)]].concat());
    assert_eq!((with("https://node:8413"), with("http://node:8413")), (Ok(()), Err(1)));
    assert_eq!(judged(&[("admin.probes", "https://node:8420")]), Err(1), "probes are not encrypted");
    assert_eq!(judged(&[("admin.probes", "http://node:8420,http://node:8421")]), Ok(()));
    assert_eq!(judged(&[("idgen.nodes", "https://node:8413")]), Err(1));
}

#[test]
fn tls_at_the_doors_is_whole_and_clients_are_told_of_it() {
    let named = |flags: &[(&str, &str)]| {
        let flags = flags.iter().map(|(key, value)| pair(key, value)).collect();
        let loaded = load(&Sources { flags, ..Sources::default() });
        loaded.map(drop).map_err(|Mistakes(all)| all[0].text.split(':').next().unwrap_or_default().to_owned())
    };
    let keys = [("doors.tls_cert", "cert.pem"), ("doors.tls_key", "key.pem")];
    let public = |url| ("messaging.public_url", url);
    assert_eq!(named(&keys), Ok(()));
    assert_eq!(named(&keys[..1]), Err("doors.tls_key".to_owned()));
    assert_eq!(named(&keys[1..]), Err("doors.tls_cert".to_owned()));
    assert_eq!(named(&[keys[0], keys[1], public("wss://chat.example.org")]), Ok(()));
    assert_eq!(named(&[keys[0], keys[1], public("ws://127.0.0.1:1")]), Err("messaging.public_url".to_owned()));
    assert_eq!(named(&[public("wss://chat.example.org")]), Ok(()), "a proxy before it ends TLS");
}

#[test]
fn where_redis_is_is_checked_before_anybody_connects() {
    let found = |url| mistakes(&Sources { flags: vec![pair("bus.redis_url", url)], ..Sources::default() });
    let told = found("redis://:secret@host:6379").concat();
    assert!(told.contains("REDISCLI_AUTH") && !told.contains("secret"), "{told}");
    for url in ["rediss://host", "host:6379", "redis://"] {
        assert_eq!(found(url).len(), 1, "{url}");
    }
}
