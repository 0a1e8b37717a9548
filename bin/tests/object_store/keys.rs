//! Where the keys of a store come from, and keys that are replaced while a job runs.

use serde_json::json;

use super::stage::{PATIENCE, S3, until};
use super::{HEAD, copies, ended, ids};

#[test]
fn keys_come_from_a_web_identity_where_the_environment_gives_none() {
    let s3 = S3::start();
    s3.put("in/a.json", ids(0..10));
    let job = copies(&s3, "s3://shop/in", "");
    let token = s3.dir().join("token");
    std::fs::write(&token, "of a service account").unwrap();
    let url = s3.url();
    let environment = [
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_SECRET_ACCESS_KEY", ""),
        ("AWS_ENDPOINT_URL_STS", &url),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader"),
    ];
    let asked = s3.count("POST");
    let arguments = [
        "run",
        job.to_str().unwrap(),
        "--http",
        "off",
        "--set",
        "trigger=once",
    ];
    s3.call_in(&arguments, &environment).expect(0, &[]);
    assert_eq!(s3.out().len(), 10);
    assert_eq!(s3.count("POST"), asked + 1, "the role is asked for once");
}

#[test]
fn a_static_table_follows_its_keys_when_their_file_changes() {
    let s3 = S3::start();
    let key = s3.dir().join("key");
    std::fs::write(&key, "first").unwrap();
    s3.put("shops.csv", "1,Riga\n");
    std::fs::create_dir(s3.dir().join("in")).unwrap();
    let reach = s3.options();
    let job = s3.job(&format!(
        "{HEAD}CREATE TABLE arrivals (id BIGINT) USING json OPTIONS (path 'in');
         CREATE TABLE shops (shop BIGINT, city STRING) USING csv OPTIONS (path 's3://shop/shops.csv', static 'true', {reach},
           fs.s3a.access.key '${{file:{}}}', fs.s3a.secret.key 'hush-hush');
         CREATE TABLE copy USING file OPTIONS (path 'out.jsonl');
         INSERT INTO copy SELECT a.id, s.city FROM arrivals a JOIN shops s ON a.id % 10 = s.shop;",
        key.display()
    ));
    let arrive = |id: u64| {
        std::fs::write(s3.dir().join("aside"), ids(id..id + 1)).unwrap();
        let to = s3.dir().join("in").join(format!("{id}.json"));
        std::fs::rename(s3.dir().join("aside"), to).unwrap();
    };
    arrive(1);
    let mut running = s3.run(&job, &[]);
    s3.until_out(1);
    let restarts = running.metric("thalweg_restarts_total");

    // Keys that the store does not take change nothing.
    std::fs::write(&key, "wrong").unwrap();
    running.until_said("cannot be used yet", PATIENCE);
    // Those of before are taken no more.
    s3.plant(
        &json!([{ "status": 403, "code": "InvalidAccessKeyId", "times": -1, "key": "first" }]),
    );
    s3.put("shops.csv", "1,Cesis\n");
    std::fs::write(&key, "second").unwrap();
    let mut next = 11;
    until("the new city is joined", PATIENCE, || {
        arrive(next);
        next += 10;
        s3.out().iter().any(|row| row["city"] == "Cesis")
    });
    assert_eq!(running.metric("thalweg_restarts_total"), restarts);
    ended(running);
    assert_eq!(s3.out()[0]["city"], "Riga");
}
