import { EventEmitter, once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { createTurns } from './turns.js';

const never = new AbortController().signal;

/** Work that ends when it is told to. */
function createJob() {
  const ends = new EventEmitter();
  const ended = once(ends, 'end').then(([result]) => String(result));
  return {
    work: () => ended,
    end: (result: string) => ends.emit('end', result),
    fail: (error: Error) => ends.emit('error', error),
  };
}

describe('turns', () => {
  test('run so many at once, the rest in the order in which they came', async () => {
    const turns = createTurns(2);
    const started: number[] = [];
    const jobs = [0, 1, 2, 3].map(() => createJob());
    const results = jobs.map((job, index) =>
      turns.run(never, () => {
        started.push(index);
        return job.work();
      }),
    );
    await Promise.resolve();
    expect(started).toEqual([0, 1]);
    expect(turns.waiting()).toBe(2);
    jobs[1]?.end('one');
    expect(await results[1]).toBe('one');
    await expect.poll(() => started).toEqual([0, 1, 2]);
    jobs[2]?.end('two');
    await expect.poll(() => started).toEqual([0, 1, 2, 3]);
    expect(turns.waiting()).toBe(0);
    jobs[0]?.end('zero');
    jobs[3]?.end('three');
    expect(await Promise.all(results)).toEqual(['zero', 'one', 'two', 'three']);
  });

  test('are given on by work that fails', async () => {
    const turns = createTurns(1);
    const [failing, next] = [createJob(), createJob()];
    const failed = turns.run(never, failing.work);
    const result = turns.run(never, next.work);
    failing.fail(new Error('no'));
    next.end('yes');
    await expect(failed).rejects.toThrow('no');
    expect(await result).toBe('yes');
    expect(await turns.run(never, () => Promise.resolve('free again'))).toBe('free again');
  });

  test('are not kept for who leaves while waiting, and who left before is not let in', async () => {
    const turns = createTurns(1);
    const [running, last] = [createJob(), createJob()];
    const leaving = new AbortController();
    const first = turns.run(never, running.work);
    let ran = false;
    const left = turns.run(leaving.signal, () => {
      ran = true;
      return Promise.resolve('');
    });
    const after = turns.run(never, last.work);
    leaving.abort(new Error('gone'));
    await expect(left).rejects.toThrow('gone');
    expect(turns.waiting()).toBe(1);
    await expect(turns.run(leaving.signal, last.work)).rejects.toThrow('gone');
    running.end('first');
    last.end('after');
    expect(await Promise.all([first, after])).toEqual(['first', 'after']);
    expect(ran).toBe(false);
  });
});
