use std::sync::mpsc;

use super::*;

fn tenant(name: &str) -> TenantId {
    TenantId::from_stored(name)
}

fn ask(tenant: &TenantId) -> Ask<'_> {
    Ask { tenant, weight: 1, cost: 1, is_brief: false }
}

/// One worker, which is busy until `release` is dropped, and the order in which others are served behind it.
struct Busy {
    compute: Arc<Compute>,
    release: mpsc::Sender<()>,
    order: Arc<Mutex<Vec<String>>>,
    tasks: Vec<tokio::task::JoinHandle<Result<(), ApiError>>>,
}

impl Busy {
    async fn new(queue: usize) -> Self {
        let compute = Arc::new(Compute::new(1, queue));
        let (release, wait) = mpsc::channel::<()>();
        let task = tokio::spawn({
            let compute = Arc::clone(&compute);
            async move { compute.run(ask(&tenant("first")), move || wait.recv().is_ok()).await.map(drop) }
        });
        while compute.pending() < 1 {
            tokio::task::yield_now().await;
        }
        Self { compute, release, order: Arc::default(), tasks: vec![task] }
    }

    /// A request that waits, or is refused at once.
    async fn arrive(&mut self, name: &str, weight: u32, vectors: usize) -> usize {
        let (compute, order, tenant) = (Arc::clone(&self.compute), Arc::clone(&self.order), tenant(name));
        let name = name.to_owned();
        self.tasks.push(tokio::spawn(async move {
            let ask = Ask { tenant: &tenant, weight, cost: vectors, is_brief: vectors == 1 };
            compute.run(ask, move || order.lock().unwrap().push(name)).await
        }));
        // The runtime has one thread: once this returns, the task has asked.
        tokio::task::yield_now().await;
        self.tasks.len() - 1
    }

    /// Lets everyone be served; the indices of those who were refused, and the order of the others.
    async fn finish(self) -> (Vec<usize>, String) {
        drop(self.release);
        let mut refused = Vec::new();
        for (index, task) in self.tasks.into_iter().enumerate() {
            match task.await.unwrap() {
                Ok(()) => {}
                Err(error) => {
                    assert_eq!(error, ApiError::QueueFull);
                    refused.push(index);
                }
            }
        }
        assert_eq!(self.compute.pending(), 0);
        let order = self.order.lock().unwrap().join("");
        (refused, order)
    }
}

#[tokio::test]
async fn a_full_queue_refuses_and_recovers_even_from_a_panic() {
    let compute = Arc::new(Compute::new(1, 1));
    let a = tenant("a");
    let (release, wait) = mpsc::channel::<()>();
    let first = tokio::spawn({
        let (compute, a) = (Arc::clone(&compute), a.clone());
        async move { compute.run(ask(&a), move || wait.recv().is_ok()).await }
    });
    let second = tokio::spawn({
        let (compute, a) = (Arc::clone(&compute), a.clone());
        async move { compute.run(ask(&a), || panic::resume_unwind(Box::new(()))).await }
    });
    while compute.pending() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(compute.run(ask(&a), || ()).await, Err(ApiError::QueueFull));
    release.send(()).unwrap();
    assert_eq!(first.await.unwrap(), Ok(true));
    assert_eq!(second.await.unwrap(), Err::<(), _>(ApiError::Internal));
    let brief = Ask { is_brief: true, ..ask(&a) };
    let panics = compute.run(brief, || panic::resume_unwind(Box::new(())));
    assert_eq!(panics.await, Err::<(), _>(ApiError::Internal));
    assert_eq!(compute.run(ask(&a), || 7).await, Ok(7));
}

#[tokio::test]
async fn tenants_take_turns_however_many_requests_they_have_waiting() {
    let mut busy = Busy::new(20).await;
    for name in ["a", "a", "a", "a", "a", "a", "b", "b", "c"] {
        busy.arrive(name, 1, 1).await;
    }
    assert_eq!(busy.finish().await, (vec![], "abcabaaaa".into()));
}

#[tokio::test]
async fn a_turn_is_counted_in_vectors_over_weight() {
    let mut busy = Busy::new(20).await;
    for _ in 0..3 {
        busy.arrive("a", 1, 4).await;
    }
    for _ in 0..8 {
        busy.arrive("b", 1, 1).await;
    }
    assert_eq!(busy.finish().await, (vec![], "abbbbabbbba".into()));

    let mut busy = Busy::new(20).await;
    for _ in 0..3 {
        busy.arrive("a", 1, 1).await;
    }
    for _ in 0..6 {
        busy.arrive("b", 3, 1).await;
    }
    assert_eq!(busy.finish().await, (vec![], "abbbabbba".into()));
}

#[tokio::test]
async fn a_late_tenant_gets_no_credit_for_its_idle_past() {
    let compute = Arc::new(Compute::new(1, 20));
    let held = compute.worker(&ask(&tenant("first"))).await.unwrap();
    let mut state = compute.0.state();
    for _ in 0..6 {
        state.wait(&tenant("a"), VECTOR, oneshot::channel().0).unwrap();
    }
    // Five of a's six are served before b comes.
    for _ in 0..5 {
        state.running -= 1;
        assert!(state.next().is_some());
    }
    for _ in 0..3 {
        state.wait(&tenant("a"), VECTOR, oneshot::channel().0).unwrap();
        state.wait(&tenant("b"), VECTOR, oneshot::channel().0).unwrap();
    }
    let mut order = Vec::new();
    loop {
        let clocks: HashMap<_, _> =
            state.lanes.iter().map(|(name, lane)| (name.clone(), lane.waiting.len())).collect();
        state.running -= 1;
        if state.next().is_none() {
            state.running += 1;
            break;
        }
        let served = state.lanes.iter().find(|(name, lane)| clocks[*name] > lane.waiting.len());
        order.push(served.unwrap().0.as_str().to_owned());
    }
    assert_eq!(order.join(""), "bababaa");
    drop(state);
    drop(held);
}

#[tokio::test]
async fn a_full_queue_takes_a_place_from_the_greediest_tenant() {
    let mut busy = Busy::new(3).await;
    let greedy = [busy.arrive("a", 1, 1).await, busy.arrive("a", 1, 1).await, busy.arrive("a", 1, 1).await];
    let more = busy.arrive("a", 1, 1).await;
    let modest = busy.arrive("b", 1, 1).await;
    // a has two places and b one: a second one would make b as greedy as a, and neither was served more.
    let second = busy.arrive("b", 1, 1).await;
    let third = busy.arrive("c", 1, 1).await;
    let (refused, order) = busy.finish().await;
    assert_eq!(refused, [greedy[1], greedy[2], more, second]);
    assert_eq!(order, "abc");
    assert!(modest < third);
}

#[tokio::test]
async fn between_equals_the_place_is_that_of_the_tenant_served_less() {
    let mut busy = Busy::new(1).await;
    let first = busy.arrive("a", 1, 1).await;
    {
        let mut state = busy.compute.0.state();
        state.lane(&tenant("a")).clock += 5;
    }
    let second = busy.arrive("b", 1, 1).await;
    let third = busy.arrive("a", 1, 1).await;
    let (refused, order) = busy.finish().await;
    assert_eq!((refused, order.as_str()), (vec![first, third], "b"));
    assert!(second > first);
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_its_place_at_once() {
    let mut busy = Busy::new(1).await;
    let gone = busy.arrive("a", 1, 1).await;
    assert_eq!(busy.compute.pending(), 2);
    busy.tasks.remove(gone).abort();
    while busy.compute.pending() > 1 {
        tokio::task::yield_now().await;
    }
    busy.arrive("a", 1, 1).await;
    assert_eq!(busy.finish().await, (vec![], "a".into()));
}

#[tokio::test]
async fn tenants_on_the_clock_are_bounded_in_number() {
    let busy = Busy::new(4).await;
    for number in 0..LANES + 50 {
        let mut state = busy.compute.0.state();
        state.lane(&tenant(&number.to_string()));
        assert!(state.lanes.len() <= LANES);
    }
    busy.finish().await;
}
