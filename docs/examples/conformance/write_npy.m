function write_npy(path, array, shape)
% WRITE_NPY  Write an array of doubles as a .npy file, for MATLAB and Octave.
%   SHAPE is that of the manifest; SIZE drops trailing axes of length 1 and has two entries at least.
%   The file says that it is in column-major order, which every reader of .npy files understands.
  if numel(array) ~= prod(shape)
    error('write_npy: found %d numbers for the shape (%s)', numel(array), num2str(shape));
  end
  folder = fileparts(path);
  if ~isempty(folder) && ~exist(folder, 'dir')
    mkdir(folder);
  end
  dims = '';  % a number has the shape ()
  if ~isempty(shape)
    dims = sprintf('%d, ', shape);
  end
  header = ['{''descr'': ''<f8'', ''fortran_order'': True, ''shape'': (' dims '), }'];
  padding = mod(-(10 + numel(header) + 1), 64);
  header = [header, repmat(' ', 1, padding), char(10)];
  file = fopen(path, 'w', 'ieee-le');
  if file < 0
    error('write_npy: cannot write %s', path);
  end
  fwrite(file, [147, double('NUMPY'), 1, 0], 'uint8');
  fwrite(file, numel(header), 'uint16');
  fwrite(file, header, 'uint8');
  fwrite(file, array, 'double');
  fclose(file);
end
