//! Whether the mandate still stands, and what happens when it does not.

use super::*;

/// Lists that narrow must have been read again within this time, or no permit is asked for.
pub(super) const REFRESH_LATE: Duration = Duration::from_millis(900);

impl<S: Sweep> Engine<S> {
    /// Reads the lists once, then again and again in the background.
    pub(super) async fn begin_refreshing(
        &mut self,
        tasks: &mut JoinSet<()>,
    ) -> Result<Option<watch::Receiver<Instant>>, RunError> {
        let Some(refresh) = self.settings.refresh.clone() else { return Ok(None) };
        let (gate, clock, every) =
            (Arc::clone(&self.gate), Arc::clone(&self.clock), self.settings.refresh_every);
        let once = move || {
            let (refresh, gate, clock) = (Arc::clone(&refresh), Arc::clone(&gate), Arc::clone(&clock));
            tokio::task::spawn_blocking(move || refresh(&gate, clock()))
        };
        once().await.map_err(|error| RunError::Internal(error.to_string()))?;
        let (sender, fresh) = watch::channel(Instant::now());
        tasks.spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                let began = Instant::now();
                // A hook that panics leaves the lists stale: nothing more is sent.
                if once().await.is_ok() {
                    sender.send_replace(began);
                }
            }
        });
        Ok(Some(fresh))
    }

    /// Looks at the mandate's standing; ends conversations that it no longer allows.
    pub(super) async fn watch_standing(&mut self) -> Result<Option<Ending>, RunError> {
        let now = (self.clock)();
        let standing = self.gate().standing(now);
        match standing {
            Ok(()) => {
                if self.lost.take().is_some() {
                    tracing::info!("the mandate stands again");
                }
                if self.looked.elapsed() >= TICK {
                    self.looked = Instant::now();
                    self.cut_off_excluded();
                }
                return Ok(None);
            }
            Err(refusal) if self.lost.as_ref().is_none_or(|lost| lost.refusal.code() != refusal.code()) => {
                self.lose(refusal);
            }
            Err(_) => {}
        }
        let Some(lost) = &self.lost else { return Ok(None) };
        let code = lost.refusal.code().to_owned();
        if is_final(&lost.refusal) {
            self.close_out(lost.refusal.code()).await?;
            return Ok(Some(Ending::Ended { code }));
        }
        Ok((lost.since.elapsed() > self.settings.patience).then_some(Ending::Paused { code }))
    }

    /// The mandate does not stand: everything open is reset at once, and waits.
    pub(super) fn lose(&mut self, refusal: Refusal) {
        tracing::warn!(%refusal, "the mandate lets nothing be sent");
        let since = self.lost.take().map_or_else(Instant::now, |lost| lost.since);
        self.sweep.abort();
        self.again.aborted((self.clock)());
        self.talks = JoinSet::new();
        for talk in std::mem::take(&mut self.talking).into_values() {
            let Some(work) = self.works[talk.place as usize].as_mut() else { continue };
            work.sent += u64::from(talk.made.load(Ordering::Relaxed));
            let (host, _) = work.endpoint(talk.target);
            work.hosts[host].open -= 1;
            let Talk { place, target, .. } = talk;
            self.queue.push(if talk.credentials {
                Job::Check { place, target }
            } else {
                Job::Talk { place, target }
            });
        }
        for place in self.order.clone() {
            self.requeue(place);
        }
        self.lost = Some(Lost { refusal, since });
    }

    /// What was in flight when the sweep was aborted is asked again.
    fn requeue(&mut self, place: u32) {
        let Some(work) = self.works[place as usize].as_mut() else { return };
        for (number, target) in work.targets.iter_mut() {
            if std::mem::take(&mut target.asking) {
                target.asks -= 1;
                let host = work.slice.target_at(number.into()).0;
                work.hosts[host].open -= 1;
                self.queue.push(Job::Ask { place, target: number });
            }
        }
        // What is still open there were questions whether it is alive.
        for (number, host) in work.hosts.iter_mut() {
            if std::mem::take(&mut host.open) > 0 {
                self.queue.push(Job::Verify { place, host: number });
            }
            for target in host.parked.drain(..) {
                self.parked -= 1;
                let swept = &work.targets[target as usize].swept;
                let answered = matches!(swept, Some(Swept { end: End::Reply(Reply::Answered), .. }));
                self.queue.push(if answered {
                    Job::Talk { place, target }
                } else {
                    Job::Ask { place, target }
                });
            }
        }
    }

    /// The mandate will not stand again: what is known is sealed, the rest was limited by it.
    async fn close_out(&mut self, code: &'static str) -> Result<(), RunError> {
        if let Some(sweeper) = &mut self.sweeper {
            sweeper.cut_off(code);
            let mut given_back = Vec::new();
            loop {
                match sweeper.told().await {
                    Told::Over(over) => given_back.push(*over),
                    Told::CutOff => break,
                    Told::Failed(error) => return Err(RunError::Packets(error)),
                    Told::Idle | Told::Refused(_) => {}
                }
            }
            given_back.into_iter().for_each(|over| self.over(over, Some(code)));
        }
        self.queue.drain();
        for place in std::mem::take(&mut self.order) {
            let Some(mut work) = self.works[place as usize].take() else { continue };
            let at = (self.clock)();
            for (number, target) in work.targets.iter_mut() {
                let (_, endpoint) = work.slice.target_at(number.into());
                if std::mem::replace(&mut target.done, true) {
                    continue;
                }
                match target.swept {
                    None => {
                        let end = End::Limited(code);
                        target.swept = Some(Swept { end, at, vantage: None });
                        self.meter.swept(end);
                    }
                    // It answered, and the conversation was cut off.
                    Some(_) => {
                        let check = match target.door {
                            Some(_) => Some(Check::CredentialCheck),
                            None => self.talk_check(endpoint),
                        };
                        if let Some(check) = check {
                            let result = ProbeResult::new(check, Outcome::Limited, Some(code));
                            work.talked.push(Talked { target: number, at, result });
                        }
                    }
                }
                self.meter.done(1);
            }
            self.seal(work);
        }
        let began = Instant::now();
        while !self.chores.is_empty() {
            // The spool may be full; whoever waits for it is told when to give up.
            if *self.stop.borrow() || began.elapsed() > self.settings.patience {
                self.give_up.store(true, Ordering::Relaxed);
            }
            if let Ok(Some(chore)) = tokio::time::timeout(TICK, self.chores.join_next()).await {
                self.chore(chore)?;
            }
        }
        Ok(())
    }

    /// Conversations with addresses that were excluded meanwhile end at once.
    fn cut_off_excluded(&mut self) {
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let excluded: Vec<(Id, &'static str)> = self
            .talking
            .iter()
            .filter_map(|(id, talk)| {
                gate.still_allows(talk.endpoint).err().map(|refusal| (*id, refusal.code()))
            })
            .collect();
        drop(gate);
        for (id, code) in excluded {
            let Some(talk) = self.talking.remove(&id) else { continue };
            talk.abort.abort();
            if let Some(work) = self.works[talk.place as usize].as_mut() {
                work.sent += u64::from(talk.made.load(Ordering::Relaxed));
            }
            if let Some(check) = self.check_of(&talk) {
                self.cut_off(talk.place, talk.target, check, Outcome::Limited, code);
            }
        }
    }
}

/// True when the same mandate will never let send again.
fn is_final(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::Revoked { .. }
            | Refusal::Expired { .. }
            | Refusal::SignerExpired { .. }
            | Refusal::WindowClosed { opens: None }
    )
}
