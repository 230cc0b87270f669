// What a user of the packages writes: text from a model on the device, and the layer of ../sample.c by the managed
// library.   consumer MODEL            generates on the device, prints where it ran and the text
//   consumer --layer          prints the layer's output, one number a line
//   consumer --reason         prints why there is no device
using System.Globalization;
using MoeKernels;
using MoeKernels.Experts;
using MoeKernels.Generation;
using MoeKernels.Models.Layers;
using MoeKernels.Router;

switch (args)
{
    case ["--layer"]:
        PrintLayer();
        return 0;
    case ["--reason", string model]:
        await using (var onCpu = await MoeModel.LoadAsync(model, new MoeLoadOptions { Device = Device.Cuda() }))
        {
            Console.WriteLine($"{onCpu.Backend.Actual}: {onCpu.Backend.FallbackReason}");
        }

        return 0;
    case [string model]:
        await Generate(model);
        return 0;
    default:
        return 2;
}

static async Task Generate(string path)
{
    var options = new MoeLoadOptions { Device = Device.Cuda(), RequireDevice = true };
    await using var model = await MoeModel.LoadAsync(path, options);
    Console.Error.WriteLine($"{model.Backend} by {model.Backend.NativePath}");
    using var session = model.CreateSession();
    var sampling = new GenerationOptions { MaxNewTokens = 8, Temperature = 0 };
    await foreach (var update in session.GenerateAsync("It was a", sampling))
        Console.Write(update.Text);
    Console.WriteLine();
}

static void PrintLayer()
{
    const int Experts = 4, Hidden = 8, Intermediate = 16, Tokens = 3;
    var spec = new MoeLayerSpec(
        new RouterSpec(Experts, 2) { Normalize = NormRule.Sum }, Hidden, Intermediate);
    using var experts = ExpertWeights.Create(
        spec, Fill(Experts * 2 * Intermediate * Hidden, 1), Fill(Experts * Hidden * Intermediate, 2));
    using var layer = new MoeLayer(spec, experts, Fill(Experts * Hidden, 3));
    using var workspace = new MoeWorkspace(layer.GetWorkspaceSize(Tokens));
    var output = new float[Tokens * Hidden];
    layer.Forward(Fill(Tokens * Hidden, 4), output, Tokens, workspace);
    foreach (float value in output)
        Console.WriteLine(value.ToString("G9", CultureInfo.InvariantCulture));
}

static float[] Fill(int count, uint seed)
{
    var values = new float[count];
    for (int i = 0; i < count; i++)
    {
        seed = unchecked((seed * 1664525u) + 1013904223u);
        values[i] = ((float)(int)((seed >> 8) & 0xffff) / 32768f) - 1f;
    }

    return values;
}
