using System.CommandLine;

var root = new RootCommand("Run, compress and measure Mixture-of-Experts models.");
return await root.Parse(args).InvokeAsync().ConfigureAwait(false);
