//! The job of members gets a step more, which each partition builds for itself from what stands before its newest checkpoint.

use super::*;

/// Whether the newest checkpoint of each partition holds the state of all steps.
fn all_held(world: &World) -> bool {
    (0..PARTITIONS).all(|number| {
        let chain = world.shelf.within(&format!("lanes/in%3Ain%2F{number}"));
        let log = CheckpointLog::new(Arc::new(chain), 3, false);
        let newest = log.newest().unwrap().unwrap();
        let state = &newest.lanes[0].state;
        numbered::STEPS.iter().all(|step| state.contains_key(*step))
    })
}

/// Rows come one after the other until so many have; each is answered.
async fn flow(world: &mut World, rows: usize) {
    for _ in 0..rows {
        world.append();
        sleep(Duration::from_millis(30)).await;
    }
    world.all_out().await;
}

/// A world in which a job has run for a while, and is stopped.
async fn run_before(seed: u64) -> World {
    let mut world = World::new(seed);
    world.warm_up = Some(Duration::from_secs(1));
    let member = world.start(0);
    for number in 0..PARTITIONS {
        world.hub.give(0, &partition(number));
    }
    flow(&mut world, 20).await;
    member.stop.send_replace(true);
    member.running.await.unwrap().unwrap();
    world.hub.miss(0);
    world.steps = 2;
    world
}

#[test]
fn it_is_built_before_the_next_row_and_stays() {
    simulated(|| async {
        let mut world = run_before(5).await;
        let before = world.sink.rows().len();
        for read_back in [true, false] {
            let member = world.start(0);
            flow(&mut world, 20).await;
            member.stop.send_replace(true);
            member.running.await.unwrap().unwrap();
            world.hub.miss(0);
            let written = world.sink.rows().len();
            let read = member.status.metrics().records_in.get();
            assert_eq!(read > (written - before) as u64, read_back);
            if !read_back {
                break;
            }
            assert!(all_held(&world));
            world.warm_up = None;
        }
        let rows = world.sink.rows();
        assert!(
            rows[before..].iter().all(|row| row.len() == 4),
            "each is answered by both steps"
        );
    });
}

#[test]
fn one_that_takes_over_while_it_is_built_builds_it_too() {
    for after in [0, 5, 10, 15, 20, 25, 30, 40, 60] {
        simulated(move || async move {
            let mut world = run_before(9).await;
            let before = world.sink.rows().len();
            let members = [world.start(0), world.start(1)];
            sleep(Duration::from_millis(after)).await;
            for number in 0..PARTITIONS {
                match number % 2 {
                    // The group takes the first one for dead, or moves the partition as it should.
                    0 => world.hub.give(1, &partition(number)),
                    _ => world.hub.move_to(1, &partition(number)),
                }
            }
            flow(&mut world, 10).await;
            let rows = world.sink.rows();
            assert!(rows[before..].iter().all(|row| row.len() == 4));
            for member in members {
                member.stop.send_replace(true);
                member.running.await.unwrap().unwrap();
            }
            assert!(all_held(&world));
        });
    }
}

#[test]
fn whatever_happens_while_members_change_one_by_one_every_answer_is_right() {
    for seed in 0..seeds() {
        simulated(move || async move {
            println!("seed {seed}");
            let mut world = World::new(seed + 1);
            world.standby = usize::try_from(seed % 3).unwrap();
            world.warm_up = Some(Duration::from_secs(1));
            // Old members take over from new ones for a while, and let go of what those have built.
            chaos(&mut world, usize::try_from(seed % 50).unwrap()).await;
            let before = world.sink.rows().len();
            let member = world.start(0);
            for number in 0..PARTITIONS {
                world.hub.give(0, &partition(number));
            }
            flow(&mut world, 10).await;
            member.stop.send_replace(true);
            member.running.await.unwrap().unwrap();
            let rows = world.sink.rows();
            assert!(
                rows[before..].iter().all(|row| row.len() == 4),
                "all have both steps"
            );
        });
    }
}
