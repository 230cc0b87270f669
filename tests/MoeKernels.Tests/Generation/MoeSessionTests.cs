using MoeKernels.Generation;

namespace MoeKernels.Tests.Generation;

public class MoeSessionTests(SampleModel sample) : IClassFixture<SampleModel>
{
    private static readonly GenerationOptions Greedy = new() { Temperature = 0, MaxNewTokens = 24 };

    [Fact]
    public async Task Generate_Greedy_StreamsTheSameTextAsDecodingAllTokens()
    {
        using var session = sample.Model.CreateSession();
        var updates = await CollectAsync(session.GenerateAsync("It was a", Greedy));
        string text = string.Concat(updates.Select(update => update.Text));
        Assert.NotEmpty(text);
        Assert.Equal(24, updates.Count);
        Assert.Equal(FinishReason.Length, updates[^1].Finish);
        Assert.All(updates.SkipLast(1), update => Assert.Equal(FinishReason.None, update.Finish));
        int[] answer = [.. updates.Select(update => update.TokenId)];
        Assert.Equal(sample.Model.Tokenizer!.Decode(answer), text);
        Assert.Equal(24, session.LastStats.NewTokens);
    }

    [Fact]
    public async Task Generate_SameSeed_RepeatsWhateverTheChunks()
    {
        var options = new GenerationOptions { Seed = 5, MaxNewTokens = 16, Temperature = 1 };
        string prompt = string.Join(' ', Enumerable.Repeat("the sea was calm and", 12));
        var texts = new List<string>();
        foreach (int chunk in new[] { 1, 7, 512 })
        {
            using var session = sample.Model.CreateSession(new SessionOptions { PrefillChunk = chunk });
            texts.Add(await TextAsync(session.GenerateAsync(prompt, options)));
        }

        Assert.Single(texts.Distinct());
    }

    [Fact]
    public async Task Generate_Continued_EqualsOneLongAnswer()
    {
        using var whole = sample.Model.CreateSession();
        string expected = await TextAsync(whole.GenerateAsync("It was a", Greedy));
        using var parts = sample.Model.CreateSession();
        string first = await TextAsync(parts.GenerateAsync("It was a", Greedy with { MaxNewTokens = 10 }));
        string second = await TextAsync(
            parts.GenerateAsync(ReadOnlyMemory<int>.Empty, Greedy with { MaxNewTokens = 14 }));
        Assert.Equal(expected, first + second);
        Assert.Equal(whole.Tokens, parts.Tokens);
    }

    [Fact]
    public async Task Generate_StopText_EndsRightBeforeIt()
    {
        using var session = sample.Model.CreateSession();
        string full = await TextAsync(session.GenerateAsync("It was a", Greedy));
        string stop = full.Substring(full.Length / 2, 5);
        using var stopped = sample.Model.CreateSession();
        var updates = await CollectAsync(stopped.GenerateAsync("It was a", Greedy with { Stop = [stop] }));
        Assert.Equal(FinishReason.StopText, updates[^1].Finish);
        Assert.Equal(full[..full.IndexOf(stop, StringComparison.Ordinal)], string.Concat(updates.Select(u => u.Text)));
    }

    [Fact]
    public async Task Generate_Cancelled_ThrowsAndTheSessionGoesOn()
    {
        using var session = sample.Model.CreateSession();
        using var cancel = new CancellationTokenSource();
        int seen = 0;
        await Assert.ThrowsAsync<OperationCanceledException>(async () =>
        {
            var options = Greedy with { MaxNewTokens = 400 };
            await foreach (var update in session.GenerateAsync("It was a", options, cancel.Token))
            {
                if (++seen == 3)
                {
                    await cancel.CancelAsync();
                }
            }
        });
        int position = session.Position;
        Assert.True(position > 0);
        Assert.NotEmpty(await TextAsync(session.GenerateAsync(" and", Greedy with { MaxNewTokens = 4 })));
        Assert.True(session.Position > position);
    }

    [Fact]
    public async Task Generate_EmptyStopText_IsRefusedAndTheSessionGoesOn()
    {
        using var session = sample.Model.CreateSession();
        await Assert.ThrowsAsync<ArgumentException>(
            () => TextAsync(session.GenerateAsync("It was a", Greedy with { Stop = ["x", string.Empty] })));
        Assert.NotEmpty(await TextAsync(session.GenerateAsync("It was a", Greedy with { MaxNewTokens = 4 })));
    }

    [Fact]
    public async Task Load_OptionsOutOfRange_AreRefusedByName()
    {
        int tooLong = sample.Model.Info.MaxContext + 1;
        var context = await Assert.ThrowsAsync<ArgumentOutOfRangeException>(
            () => MoeModel.LoadAsync(SampleModel.Folder, new MoeLoadOptions { ContextLength = tooLong }));
        Assert.Contains("context length", context.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => MoeModel.LoadAsync(
            SampleModel.Folder, new MoeLoadOptions { Threads = MoeLoadOptions.MaxThreads + 1 }));
    }

    [Fact]
    public async Task Generate_LeftEarly_StopsTheWork()
    {
        using var session = sample.Model.CreateSession();
        await foreach (var update in session.GenerateAsync("It was a", Greedy with { MaxNewTokens = 400 }))
        {
            break;
        }

        Assert.InRange(session.Tokens.Count, 1, 60);
        session.RewindTo(0);
        Assert.Equal(0, session.Position);
    }

    [Fact]
    public async Task Generate_ContextFull_EndsWithLength()
    {
        using var session = sample.Model.CreateSession(new SessionOptions { ContextLength = 12 });
        var updates = await CollectAsync(session.GenerateAsync("It was a", Greedy with { MaxNewTokens = 100 }));
        Assert.Equal(FinishReason.Length, updates[^1].Finish);
        Assert.Equal(12, session.Position);
        await Assert.ThrowsAsync<MoeContextException>(() => TextAsync(session.GenerateAsync(" more", Greedy)));
    }

    [Fact]
    public void Forward_TokenByToken_GivesTheBitsOfOneCall()
    {
        int[] tokens = sample.Model.Tokenizer!.Encode("Call me Ishmael. Some years ago, never mind how long").Ids;
        float[] once = new float[sample.Model.Info.Vocabulary];
        float[] stepwise = new float[once.Length];
        using var first = sample.Model.CreateSession();
        using var second = sample.Model.CreateSession();
        first.Forward(tokens, once);
        foreach (int token in tokens)
        {
            second.Forward([token], stepwise);
        }

        Assert.Equal(once, stepwise);
    }

    [Fact]
    public void Forward_BadArguments_ThrowAndChangeNothing()
    {
        using var session = sample.Model.CreateSession(new SessionOptions { ContextLength = 8 });
        float[] logits = new float[sample.Model.Info.Vocabulary];
        session.Forward([1, 2], logits);
        Assert.Throws<ArgumentException>(() => session.Forward([], logits));
        Assert.Throws<ArgumentException>(() => session.Forward([1], new float[3]));
        Assert.Throws<ArgumentOutOfRangeException>(() => session.Forward([1, -1], logits));
        Assert.Throws<ArgumentOutOfRangeException>(() => session.Forward([sample.Model.Info.Vocabulary], logits));
        Assert.Throws<MoeContextException>(() => session.Forward(new int[7], logits));
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        Assert.Throws<OperationCanceledException>(() => session.Forward([3], logits, cancelled.Token));
        Assert.Equal([1, 2], session.Tokens);
        Assert.Equal(2, session.Position);
        session.Forward([3], logits);
        Assert.Equal(3, session.Position);
    }

    [Fact]
    public void Forward_Warm_AllocatesNothing()
    {
        using var session = sample.Model.CreateSession();
        float[] logits = new float[sample.Model.Info.Vocabulary];
        int[] token = [7];
        session.Forward([1, 2, 3, 4, 5, 6], logits);
        session.Forward(token, logits);
        long before = GC.GetAllocatedBytesForCurrentThread();
        session.Forward(token, logits);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void RewindAndFork_GiveTheBitsOfAFreshSession()
    {
        float[] expected = new float[sample.Model.Info.Vocabulary];
        float[] rewound = new float[expected.Length];
        float[] forked = new float[expected.Length];
        using var fresh = sample.Model.CreateSession();
        fresh.Forward([10, 20, 30, 40], expected);
        using var session = sample.Model.CreateSession();
        session.Forward([10, 20, 99, 98, 97], rewound);
        session.RewindTo(2);
        using var fork = session.Fork();
        session.Forward([30, 40], rewound);
        fork.Forward([30], forked);
        fork.Forward([40], forked);
        Assert.Equal(expected, rewound);
        Assert.Equal(expected, forked);
        Assert.Equal([10, 20, 30, 40], fork.Tokens);
    }

    [Fact]
    public async Task Sessions_SideBySide_GiveTheSameAnswersAsAlone()
    {
        string[] prompts = ["It was a", "The captain said", "In the garden", "She had never"];
        async Task<string> RunAsync(string prompt)
        {
            using var session = sample.Model.CreateSession();
            return await TextAsync(session.GenerateAsync(prompt, Greedy with { MaxNewTokens = 40 }));
        }

        var alone = new List<string>();
        foreach (string prompt in prompts)
        {
            alone.Add(await RunAsync(prompt));
        }

        string[] together = await Task.WhenAll(prompts.Select(prompt => Task.Run(() => RunAsync(prompt))));
        Assert.Equal(alone, together);
    }

    [Fact]
    public async Task Session_UsedByTwoCallsAtOnce_Refuses()
    {
        using var session = sample.Model.CreateSession();
        await using var updates = session.GenerateAsync("It was a", Greedy).GetAsyncEnumerator();
        await updates.MoveNextAsync();
        Assert.Throws<InvalidOperationException>(() => session.RewindTo(0));
    }

    [Fact]
    public async Task Session_DisposedDuringAnAnswer_IsFreedWhenTheAnswerEnds()
    {
        var session = sample.Model.CreateSession();
        int tokens = 0;
        await foreach (var update in session.GenerateAsync("It was a", Greedy))
        {
            if (tokens++ == 2)
            {
                session.Dispose();
            }
        }

        Assert.Equal(24, tokens);
        Assert.Throws<ObjectDisposedException>(() => session.RewindTo(0));
    }

    [Fact]
    public void CreateSession_SizesOutOfRange_Throw()
    {
        Assert.Throws<ArgumentOutOfRangeException>(
            () => sample.Model.CreateSession(new SessionOptions { ContextLength = 513 }));
        Assert.Throws<ArgumentOutOfRangeException>(
            () => sample.Model.CreateSession(new SessionOptions { PrefillChunk = 0 }));
    }

    [Fact]
    public async Task Model_DisposedBeforeItsSession_StaysUntilTheSessionGoes()
    {
        var model = await MoeModel.LoadAsync(SampleModel.Folder);
        var session = model.CreateSession();
        model.Dispose();
        model.Dispose();
        Assert.Throws<ObjectDisposedException>(() => model.CreateSession());
        Assert.NotEmpty(await TextAsync(session.GenerateAsync("It was a", Greedy with { MaxNewTokens = 4 })));
        session.Dispose();
        session.Dispose();
        Assert.Throws<ObjectDisposedException>(() => session.RewindTo(0));
    }

    [Fact]
    public void KeepCommonPrefix_KeepsWhatIsTheSame()
    {
        using var session = sample.Model.CreateSession();
        session.Forward([1, 2, 3, 4], new float[sample.Model.Info.Vocabulary]);
        Assert.Equal(2, session.KeepCommonPrefix([1, 2, 9, 9]));
        Assert.Equal([1, 2], session.Tokens);
        Assert.Equal(1, session.KeepCommonPrefix([1, 2]));
    }

    private static async Task<List<TokenUpdate>> CollectAsync(IAsyncEnumerable<TokenUpdate> updates)
    {
        var all = new List<TokenUpdate>();
        await foreach (var update in updates)
        {
            all.Add(update);
        }

        return all;
    }

    private static async Task<string> TextAsync(IAsyncEnumerable<TokenUpdate> updates) =>
        string.Concat((await CollectAsync(updates)).Select(update => update.Text));
}
