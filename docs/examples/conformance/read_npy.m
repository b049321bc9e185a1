function array = read_npy(path)
% READ_NPY  Array of a .npy file, for MATLAB and Octave.
%   The axes are in the order of the manifest: array(1, 2, 3) is the file's entry [0, 1, 2].
%   Trailing axes of length 1 are dropped, as these languages do with every array.
  file = fopen(path, 'r', 'ieee-le');
  if file < 0
    error('read_npy: cannot open %s', path);
  end
  closing = onCleanup(@() fclose(file));
  magic = fread(file, 6, 'uint8')';
  if ~isequal(magic, [147, double('NUMPY')])
    error('read_npy: %s is not a .npy file', path);
  end
  version = fread(file, 2, 'uint8');
  if version(1) == 1
    size_of_header = fread(file, 1, 'uint16');
  else
    size_of_header = fread(file, 1, 'uint32');
  end
  header = fread(file, size_of_header, 'uint8=>char')';
  types = struct('f8', 'double', 'f4', 'single', 'i8', 'int64', 'i4', 'int32');
  descr = regexp(header, '''descr'':\s*''<(\w+)''', 'tokens', 'once');
  if isempty(descr) || ~isfield(types, descr{1})
    error('read_npy: %s holds a type that is not read here: %s', path, header);
  end
  dims = regexp(header, '''shape'':\s*\(([^)]*)\)', 'tokens', 'once');
  shape = sscanf(dims{1}, '%d,')';
  type = types.(descr{1});
  values = fread(file, prod(shape), [type '=>' type]);
  if numel(values) ~= prod(shape)
    error('read_npy: %s is cut off', path);
  end
  if numel(shape) < 2
    array = values;
  elseif isempty(strfind(header, '''fortran_order'': True'))
    % The last index runs fastest: read the axes in reversed order, then turn them round.
    array = permute(reshape(values, fliplr(shape)), numel(shape):-1:1);
  else
    array = reshape(values, shape);
  end
end
