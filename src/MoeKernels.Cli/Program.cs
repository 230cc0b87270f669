using System.Text;
using MoeKernels.Cli;

Console.OutputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
return await MoeCommandLine.RunAsync(args);
