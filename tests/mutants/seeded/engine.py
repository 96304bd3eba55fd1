"""Faults of the engine: the commit, the takeover, the blocks and the assignment, on a real Kafka."""

from tests.mutants.catalogue import Mutant

KAFKA = "tests/integration/engine/test_engine_on_kafka.py::"
TRANSACTIONS = "tests/integration/engine/test_transactions.py::"
EMBEDDED = "tests/integration/engine/test_engine_on_embedded.py::"
DEMAND = "tests/integration/engine/test_fetching_on_demand.py::"
FLOW = "tests/unit/stream/engine/test_flow.py::"
EXPECTED = "tests/unit/stream/engine/test_expected_commits.py::"
FOLD = "tests/unit/stream/engine/test_shard_fold.py::"

MUTANTS = (
    Mutant(
        "stream/engine/committer.py",
        "        await write.produce(records)\n",
        "        await write.produce([(self._changelog, rows[:1])])\n"
        "        await write.end()\n"
        "        await write.add([place for place, _ in records])\n"
        "        await write.produce(records)\n",
        "the header is written outside the transaction",
        (f"{KAFKA}test_a_kill_within_a_commit_leaves_all_of_it_or_nothing",),
    ),
    Mutant(
        "stream/engine/transactions.py",
        "        raise error\n    await asyncio.sleep(pause)",
        "        return pause\n    await asyncio.sleep(pause)",
        "what the broker refused is tried again for ever",
        (f"{TRANSACTIONS}test_what_the_broker_refuses_is_raised",),
    ),
    Mutant(
        "stream/engine/transactions.py",
        "            if not failed:\n                return\n",
        "            return\n",
        "a batch that failed alone is passed over",
        (f"{TRANSACTIONS}test_what_the_broker_refuses_is_raised",),
    ),
    Mutant(
        "stream/engine/transactions.py",
        "        self._sequences[place] = (self._sequences.get(place, 0) + count) & 0x7FFFFFFF\n",
        "",
        "batches are not numbered through: the second one is taken for the first",
        (f"{TRANSACTIONS}test_more_than_a_batch_is_still_one_transaction",),
    ),
    Mutant(
        "stream/engine/transactions.py",
        "        raise Fenced(repr(error)) from error\n",
        "        return pause\n",
        "a writer that was shut out tries on",
        (f"{TRANSACTIONS}test_a_writer_that_was_shut_out_writes_nothing",),
    ),
    Mutant(
        "stream/engine/transactions.py",
        "            producer_epoch=epoch,\n",
        "            producer_epoch=0,\n",
        "batches bear the first writer's epoch: the broker cannot tell an old writer's",
        (f"{TRANSACTIONS}test_what_is_not_ended_is_not_seen_and_goes_with_the_next_writer",),
    ),
    Mutant(
        "stream/engine/app.py",
        'f"{self.name}-{self.events_topic}-{number}"',
        'f"{self.name}-{self.events_topic}-{number}-{id(self)}"',
        "every worker has a transactional id of its own: nobody is fenced",
        (f"{KAFKA}test_a_stopped_worker_changes_nothing_and_comes_back",),
    ),
    Mutant(
        "stream/engine/kafka.py",
        "            while position < end:\n",
        "            while position < end - 40:\n",
        "the takeover stops reading a little before the end",
        (f"{KAFKA}test_a_killed_worker_loses_nothing",),
    ),
    Mutant(
        "stream/engine/shard.py",
        "        return self.state.header.next_offset if self.running else None",
        "        return (self.state.header.next_offset or 0) + 1 if self.running else None",
        "the source is read from one event too far on",
        (f"{KAFKA}test_a_worker_that_joins_takes_its_share",),
    ),
    Mutant(
        "stream/engine/blocks.py",
        "        if offset < self.start:\n            return None\n",
        "",
        "a gap before a block goes unseen",
        ("tests/unit/stream/engine/test_continuity.py",),
    ),
    Mutant(
        "stream/engine/fetching.py",
        "    return Block(start, records, unread.next_fetch_offset, ",
        "    return Block(start, records, records[-1].offset + 1 if records else start, ",
        "a block ends with its last record: markers are never passed",
        (f"{KAFKA}test_markers_and_aborted_events_do_not_stop_the_stream",),
    ),
    Mutant(
        "stream/engine/transport.py",
        '        consumer._isolation_level = "read_committed"\n',
        "",
        "what a producer aborted is counted",
        (f"{KAFKA}test_markers_and_aborted_events_do_not_stop_the_stream",),
    ),
    Mutant(
        "stream/engine/shard.py",
        "        state.begin_term()  # 5\n",
        "        state.header.number += 1\n        state._moved = True\n",
        "two owners share a term",
        (f"{KAFKA}test_a_stopped_worker_changes_nothing_and_comes_back",),
    ),
    Mutant(
        "stream/engine/continuity.py",
        "Fingerprint.of(record) != last",
        "False",
        "a topic made anew is taken for the old one",
        (f"{KAFKA}test_a_topic_made_anew_stops_the_partition_and_says_so",),
    ),
    Mutant(
        "stream/engine/continuity.py",
        "    if header.next_offset < begin:\n        raise Halted(gone(tp, header.next_offset, begin))\n",
        "",
        "events that were deleted uncounted are jumped over",
        ("tests/unit/stream/engine/test_continuity.py",),
    ),
    Mutant(
        "stream/engine/shard.py",
        "                self._poison.blame(rest.records, exc)\n",
        "",
        "an event on which the fold fails is tried for ever",
        (f"{KAFKA}test_an_event_on_which_the_fold_fails_is_refused_and_the_stream_goes_on",),
    ),
    Mutant(
        "stream/engine/shard.py",
        '            self.lose(f"{what}: {exc!r}", fenced=isinstance(exc, Fenced))\n',
        "",
        "after a commit that failed the shard folds on",
        (f"{KAFKA}test_a_commit_that_cannot_be_written_whole_is_not_written_at_all",),
    ),
    Mutant(
        "stream/engine/committer.py",
        "        if outbox.version == version:\n",
        "        if outbox.version != version:\n",
        "side records of the last commit are not sent again",
        (f"{EMBEDDED}test_side_records_of_the_last_commit_are_sent_again",),
    ),
    Mutant(
        "stream/engine/process.py",
        "        timer.start()\n",
        "",
        "a broker that hangs keeps a stopped worker alive",
        (f"{KAFKA}test_a_worker_ends_at_sigterm_although_a_commit_hangs",),
    ),
    Mutant(
        "stream/engine/app.py",
        "        if logs < self.count:\n",
        "        if logs > self.count:\n",
        "partitions that were added are mixed in",
        (f"{KAFKA}test_partitions_added_to_the_topic_stop_the_worker",),
    ),
    Mutant(
        "stream/engine/shard.py",
        "await parts.kafka.stable_offset(self.changelog) < end",
        "await parts.kafka.stable_offset(self.changelog) > end",
        "a commit that the broker forgot to mark stops the takeover",
        ("tests/integration/engine/test_hanging_transactions.py",),
    ),
    Mutant(
        "stream/engine/transactions.py",
        "await self._end(commit=self._left_committed)",
        "await self._end(commit=True)",
        "what hangs is committed, whatever was decided",
        ("tests/integration/engine/test_hanging_transactions.py",),
    ),
    Mutant(
        "stream/engine/pace.py",
        "self._lag < self._grouped or ",
        "",
        "a partition that has caught up waits before it commits",
        ("tests/unit/stream/engine/test_pace.py",),
    ),
    Mutant(
        "stream/engine/continuity.py",
        "        if exact_end:\n            raise",
        "        if not exact_end:\n            raise",
        "a broker that is slow stops a partition for good",
        ("tests/unit/stream/engine/test_continuity.py",),
    ),
    Mutant(
        "stream/engine/connections.py",
        "    except RuntimeError as exc:",
        "    except LookupError as exc:",
        "a reset ends the task that keeps the metadata new",
        ("tests/unit/stream/engine/test_connections.py",),
    ),
    Mutant(
        "stream/engine/fetching.py",
        "fetches if self._waiting or self.lagging else []",
        "fetches",
        "what nobody waits for is fetched, and grows old",
        (f"{DEMAND}test_what_nobody_waits_for_is_not_asked_for[embedded]",),
    ),
    Mutant(
        "stream/engine/fetching.py",
        "any(block.lag for block in blocks.values())",
        "False",
        "a log that is far behind is not read ahead",
        (f"{DEMAND}test_a_log_with_more_than_one_fetch_is_read_ahead[embedded]",),
    ),
    Mutant(
        "stream/engine/transport.py",
        "        self._folded.set()  # what has not got there",
        "        # what has not got there",
        "the fetching waits for blocks that a rebalance took",
        (f"{FLOW}test_blocks_that_a_rebalance_took_are_not_waited_for",),
    ),
    Mutant(
        "stream/engine/committer.py",
        "            places.remove(self._changelog)\n            await begun\n",
        "            places.remove(self._changelog)\n",
        "records are sent before the coordinator knows of the partition",
        (f"{EXPECTED}test_the_commit_waits_for_the_beginning",),
    ),
    Mutant(
        "stream/engine/committer.py",
        "        if self._writing:\n            self._expected = True\n        elif",
        "        if",
        "a second transaction begins within the first",
        (f"{EXPECTED}test_one_expected_during_another_begins_after_it",),
    ),
    Mutant(
        "stream/engine/shard.py",
        "            if rest.end > rest.start:\n                self._committer.expect()\n",
        "            self._committer.expect()\n",
        "a transaction is begun that no commit ends: the broker shuts its writer out",
        (f"{FOLD}test_no_commit_is_expected_where_none_will_come",),
    ),
    Mutant(
        "stream/engine/shard.py",
        "            if self._state is None:\n                return True  # lost meanwhile\n",
        "",
        "a shard that was lost folds on, and its events are blamed",
        (f"{FOLD}test_a_shard_that_is_lost_before_the_fold_folds_nothing",),
    ),
)
